"""Laws of encoding: weight 1 is no emphasis, "Original" keeps the mean, chunks are independent, equal ones cached."""

from __future__ import annotations

import pytest
import torch

from modules.loading.text import KEPT, TextEncoder, TextModel, weighted
from modules.prompts.chunks import TextPolicy
from tests.studio import Bench


@pytest.fixture(scope="module")
def encoder(bench: Bench) -> TextModel:
    return bench.studio.shelf.get(bench.library.find("tiny-sd1")).text


def test_weight_one_is_no_emphasis(encoder: TextModel) -> None:
    for mode in ("Original", "No norm", "Ignore"):
        policy = TextPolicy(emphasis=mode)
        assert torch.allclose(encoder.encode("a (cat:1.0)", policy), encoder.encode("a cat", TextPolicy()), atol=1e-6)


def test_ignore_reads_brackets_and_drops_weights(encoder: TextModel) -> None:
    assert torch.equal(
        encoder.encode("a (cat:1.5)", TextPolicy(emphasis="Ignore")), encoder.encode("a cat", TextPolicy())
    )


@pytest.mark.parametrize("times", [[1, 1, 1], [3, 1, 4]])
def test_original_keeps_the_mean_of_each_chunk_over_all_texts(times: list[int]) -> None:
    hidden = torch.randn(3, 2, 77, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    weights = torch.rand(3, 2, 77, generator=torch.Generator().manual_seed(1)) + 0.5
    kept = weighted(hidden, weights, torch.tensor(times))

    def means(states: torch.Tensor) -> torch.Tensor:
        every = states.repeat_interleave(torch.tensor(times), dim=0)
        return every.mean(dim=(0, 2, 3))

    assert torch.allclose(means(kept), means(hidden), atol=1e-5)
    assert torch.equal(weighted(hidden, weights, None), hidden * weights.unsqueeze(-1))


def test_clip_skip_counts_layers_from_the_end(encoder: TextModel) -> None:
    plain, one, two, five = (
        encoder.encode("a cat", policy)
        for policy in (TextPolicy(), TextPolicy(skip=1), TextPolicy(skip=2), TextPolicy(skip=12))
    )
    assert torch.equal(plain, one)
    assert not torch.allclose(one, two)
    assert torch.isfinite(five).all()  # more than the tower has: its first state


def test_chunks_are_encoded_independently(encoder: TextModel) -> None:
    policy = TextPolicy(emphasis="No norm")
    both = encoder.encode("a red house BREAK a green tree", policy)
    assert both.shape[1] == 2 * 77
    assert torch.allclose(both[:, :77], encoder.encode("a red house", policy), atol=1e-5)
    assert torch.allclose(both[:, 77:], encoder.encode("a green tree", policy), atol=1e-5)


def test_texts_of_one_prompt_are_filled_with_empty_chunks(encoder: TextModel) -> None:
    texts = encoder.encode_together(["a cat", "a dog BREAK a house", "a cat"], TextPolicy())
    short, long, again = (text.tokens for text in texts)
    assert short.shape == long.shape
    assert short.shape[0] == 154
    assert torch.equal(short, again)
    assert torch.allclose(short[:77], encoder.encode("a cat", TextPolicy())[0], atol=1e-5)
    assert torch.allclose(short[77:], encoder.encode("", TextPolicy())[0], atol=1e-5)


def test_equal_prompts_are_encoded_once() -> None:
    class Tower(torch.nn.Module):
        calls = 0

        def forward(self, input_ids: torch.Tensor) -> object:
            self.calls += 1
            return type("Output", (), {"last_hidden_state": torch.ones(*input_ids.shape, 4)})

    tower = Tower()
    encoder = TextEncoder(tower, torch.device("cpu"))
    for text in ("a", "b", "a", "a"):
        encoder.encode(text, TextPolicy())
    assert tower.calls == 2
    encoder.encode("a", TextPolicy(backtrack=0))
    assert tower.calls == 3
    for number in range(KEPT):
        encoder.encode(f"prompt {number}", TextPolicy())
    encoder.encode("a", TextPolicy())
    assert tower.calls == 4 + KEPT
    encoder.forget()
    encoder.encode("a", TextPolicy())
    assert tower.calls == 5 + KEPT
