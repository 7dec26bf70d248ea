"""Filling up narrow heads changes no result."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor
from torch.nn import functional

from modules.loading import attention as module
from modules.loading.attention import WORTHWHILE, Attend, attention, upcast


@pytest.mark.parametrize("width", [1, 4, 8, 15, 16, 40])
@pytest.mark.parametrize("keys", [77, WORTHWHILE, 1000])
def test_attention_is_torchs(width: int, keys: int) -> None:
    generator = torch.Generator().manual_seed(width)
    query = torch.randn(2, 3, 50, width, generator=generator)
    key, value = (torch.randn(2, 3, keys, width, generator=generator) for _ in range(2))
    expected = functional.scaled_dot_product_attention(query, key, value)
    assert torch.allclose(attention(query, key, value), expected, atol=1e-5)


def test_attention_follows_its_definition() -> None:
    query, key, value = (torch.randn(1, 2, WORTHWHILE, 4, generator=torch.Generator().manual_seed(i)) for i in range(3))
    weights = torch.softmax(query @ key.transpose(-1, -2) / 2, dim=-1)
    assert torch.allclose(attention(query, key, value), weights @ value, atol=1e-5)


def test_upcast_attention_is_worked_out_in_float32_until_it_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Attention(query_dim=32, heads=2, dim_head=16, processor=Attend()).half()
    x = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(1)).half()
    seen: list[torch.dtype] = []

    def watched(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        seen.append(query.dtype)
        return attention(query, key, value)

    monkeypatch.setattr(module, "attention", watched)
    with torch.no_grad():
        answers = []
        for on in (False, True, False):
            upcast(layer, on)
            answers.append(layer(x))
    assert seen == [torch.float16, torch.float32, torch.float16]
    assert {answer.dtype for answer in answers} == {torch.float16}
    assert torch.equal(answers[0], answers[2])
    assert torch.allclose(answers[0], answers[1], atol=2e-3)
