"""Laws of the measures: nothing is away from itself, known Gaussians have a known distance, order does not matter."""

from __future__ import annotations

import pytest
import torch

from modules.core.errors import BadRequest
from modules.evaluation.measures import agreement, frechet


def drawn(count: int, mean: list[float], deviation: list[float], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, len(mean), generator=generator) * torch.tensor(deviation) + torch.tensor(mean)


def test_nothing_is_away_from_itself() -> None:
    features = drawn(200, [0, 1, 2], [1, 2, 3], 0)
    assert frechet(features, features) == pytest.approx(0, abs=1e-4)


def test_gaussians_have_the_closed_form() -> None:
    """Axis-parallel: |m1 - m2|^2 + sum (s1 - s2)^2."""
    first = drawn(200_000, [0, 0], [1, 2], 0)
    second = drawn(200_000, [3, -1], [2, 1], 1)
    assert frechet(first, second) == pytest.approx(9 + 1 + 1 + 1, rel=0.02)


def test_it_is_symmetric_and_a_shift_adds_its_square() -> None:
    first, second = drawn(500, [0, 0, 0], [1, 1, 2], 0), drawn(400, [1, 0, 0], [1, 3, 1], 1)
    assert frechet(first, second) == pytest.approx(frechet(second, first), rel=1e-6)
    assert frechet(first, first + 2) == pytest.approx(12, rel=1e-3)


def test_one_picture_is_no_distribution() -> None:
    with pytest.raises(BadRequest, match="two pictures"):
        frechet(torch.randn(1, 4), torch.randn(9, 4))


def test_agreement_is_a_hundred_times_the_cosine_and_never_negative() -> None:
    pictures = torch.tensor([[1.0, 0.0], [3.0, 4.0], [1.0, 0.0]])
    texts = torch.tensor([[5.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert agreement(pictures, texts) == pytest.approx(100 * (1 + 0.6 + 0) / 3)
