"""Whatever a network predicts, the denoiser gives back the clean latent that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modules.core.process import scaled_linear_levels
from modules.loading.prediction import KINDS, Given, Network

LEVELS = scaled_linear_levels()
CLEAN = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NOISE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
GIVEN = Given(context=torch.zeros(2, 77, 8))


def perfect(kind: str, sigma: Tensor) -> Network:
    """A network that knows the answer: noise, or velocity = signal * noise - noise's share * clean."""
    signal, share = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
    answer = NOISE if kind == "eps" else signal * NOISE - share * CLEAN
    return lambda x, time, given: answer


@pytest.mark.parametrize("kind", ["eps", "v", "stepwise v"])
@pytest.mark.parametrize("time", [3, 500, 999])
def test_a_perfect_network_denoises_perfectly(kind: str, time: int) -> None:
    sigma = LEVELS.sigmas[time].double()
    predict = KINDS[kind](perfect(kind, sigma), LEVELS)
    torch.testing.assert_close(predict(CLEAN + sigma * NOISE, sigma, GIVEN), CLEAN, atol=1e-4, rtol=1e-4)


def test_between_trained_times_the_stepwise_way_takes_the_level_below() -> None:
    sigma = LEVELS.level_at(torch.tensor(500.7)).double()
    exact, stepwise = (KINDS[kind](perfect("v", sigma), LEVELS) for kind in ("v", "stepwise v"))
    x = CLEAN + sigma * NOISE
    assert not torch.allclose(exact(x, sigma, GIVEN), stepwise(x, sigma, GIVEN), atol=1e-6)
    assert torch.allclose(exact(x, sigma, GIVEN), stepwise(x, sigma, GIVEN), atol=0.05)


def test_rows_and_beside_keep_every_part_together() -> None:
    given = Given(context=torch.arange(6.0).reshape(3, 1, 2), ids=torch.arange(3.0).reshape(3, 1))
    assert given.rows([2, 0]).ids is not None
    assert given.rows([2, 0]).context[:, 0, 0].tolist() == [4.0, 0.0]
    both = given.beside(given.rows([1]))
    assert len(both) == 4
    assert both.ids is not None
    assert both.ids[:, 0].tolist() == [0.0, 1.0, 2.0, 1.0]
    assert both.pooled is None
