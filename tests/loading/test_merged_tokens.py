"""Merging then parting gives every token back, its own or that of its likeness; tokens that are alike lose nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from modules.loading.merged_tokens import match, merge, part, put_on
from tests.studio import Bench


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7), st.floats(0, 1))
def test_every_token_comes_back(batch: int, height: int, width: int, ratio: float) -> None:
    x = torch.randn(batch, height * width, 3)
    found = match(x, (height, width), ratio)
    if found is None:
        assert int(height * width * ratio) == 0 or height < 2 or width < 2
        return
    small = merge(x, found)
    stands = (height // 2) * (width // 2)
    assert small.shape[1] == x.shape[1] - min(x.shape[1] - stands, int(x.shape[1] * ratio))
    back = part(small, found)
    assert back.shape == x.shape
    torch.testing.assert_close(back.gather(1, found.stay.expand(-1, -1, 3)), x.gather(1, found.stay.expand(-1, -1, 3)))
    for row in range(batch):  # what was merged is what it was merged into: their mean
        for place, into in zip(found.goes[row, :, 0], found.into[row, :, 0], strict=True):
            stand = found.stand[row, into, 0]
            whole = [
                place_ for place_, i in zip(found.goes[row, :, 0], found.into[row, :, 0], strict=True) if i == into
            ]
            mean = torch.stack([x[row, stand], *(x[row, each] for each in whole)]).mean(0)
            torch.testing.assert_close(back[row, place], mean)
            torch.testing.assert_close(back[row, stand], mean)


def test_the_most_alike_go_first() -> None:
    x = torch.eye(4).reshape(1, 4, 4)
    x[0, 3] = torch.tensor([0.9, 0.0, 0.0, 0.1])
    found = match(x, (2, 2), 0.25)
    assert found is not None
    assert found.goes.flatten().tolist() == [3]
    assert found.stand.flatten().tolist() == [0]
    assert found.stay.flatten().tolist() == [1, 2]


def test_equal_tokens_are_merged_without_loss() -> None:
    x: Tensor = torch.randn(2, 1, 5).expand(-1, 16, -1)
    found = match(x, (4, 4), 0.5)
    assert found is not None
    torch.testing.assert_close(part(merge(x, found), found), x)


@pytest.mark.parametrize("ratio", [0.3, 0.75])
def test_a_unet_attends_to_fewer_and_goes_back(bench: Bench, ratio: float) -> None:
    unet = bench.studio.shelf.get(bench.library.find("tiny-sd1")).unet
    seen: list[tuple[str, int]] = []
    named = {
        name: module
        for name, module in unet.named_modules()
        if name.endswith("attn1.to_q") or name.endswith("attn2.to_q")
    }
    handles = [
        module.register_forward_hook(lambda _, inputs, output, name=name: seen.append((name, output.shape[1])))
        for name, module in named.items()
    ]
    x, context = torch.randn(2, 4, 8, 12), torch.randn(2, 77, unet.config.cross_attention_dim)  # type: ignore[union-attr]
    with torch.inference_mode():
        before = unet(x, 500, encoder_hidden_states=context, return_dict=False)[0]
        seen.clear()
        remove = put_on(unet, ratio)
        merged = unet(x, 500, encoder_hidden_states=context, return_dict=False)[0]
        counts = dict(seen)
        remove()
        after = unet(x, 500, encoder_hidden_states=context, return_dict=False)[0]
    for handle in handles:
        handle.remove()
    left = 96 - min(72, int(96 * ratio))
    assert counts["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"] == left
    assert counts["down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"] == 96
    assert counts["down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"] == 24  # smaller: left alone
    assert not torch.equal(before, merged)
    assert torch.equal(before, after)
