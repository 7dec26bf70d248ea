"""A world in which the right answer is known: Gaussian data, its best denoiser, and the ODE's exact solution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from modules.core.process import NoiseProcess, VarianceExploding, log_snr, scaled_linear_levels
from modules.core.types import StepNoise
from modules.samplers.catalog import Sampler

MEAN, DEVIATION = 0.7, 0.5
TRAINED = scaled_linear_levels()


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Data N(MEAN, DEVIATION^2) seen through a noise process. Called, it is a denoiser without guidance."""

    process: NoiseProcess
    positive: Tensor | None = None
    negative: Tensor | None = None

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x], Bayes' rule for two Gaussians."""
        alpha = self.process.alpha(sigma)
        gain = alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)

    def spread(self, sigma: Tensor) -> Tensor:
        return (self.process.alpha(sigma) ** 2 * DEVIATION**2 + sigma**2) ** 0.5

    def flow(self, x: Tensor, sigma: Tensor, target: Tensor) -> Tensor:
        """Where the probability-flow ODE takes x from sigma to target."""
        centred = x - self.process.alpha(sigma) * MEAN
        return self.process.alpha(target) * MEAN + centred * self.spread(target) / self.spread(sigma)


def nothing(step: int, x: Tensor, sigma: Tensor, denoised: Tensor) -> None:
    pass


class Drawn:
    """Noise from a function; its paths are without memory."""

    def __init__(self, draw: Callable[[], Tensor]) -> None:
        self._draw = draw

    def __call__(self) -> Tensor:
        return self._draw()

    def brownian(self, low: Tensor, high: Tensor) -> StepNoise:
        return lambda sigma, target: self._draw()


class Silence:
    """Noise that must not be drawn."""

    def __call__(self) -> Tensor:
        raise AssertionError("a deterministic sampler drew noise")

    def brownian(self, low: Tensor, high: Tensor) -> StepNoise:
        def refuse(sigma: Tensor, target: Tensor) -> Tensor:
            return self()

        return refuse


def start() -> Tensor:
    return torch.linspace(-8, 8, 9, dtype=torch.float64).reshape(1, 1, 3, 3)


def extra(sampler: Sampler, sigmas: Tensor) -> dict[str, object]:
    """What a row wants to be called with, fitting the levels."""
    known = {"steps": 3 * (len(sigmas) - 2) + 1, "trained": TRAINED}
    return {name: known[name] for name in sampler.wants}


def levels(process: NoiseProcess, steps: int) -> Tensor:
    """Evenly spaced in log(alpha / sigma), (steps + 1,), over most of the process' range."""
    high, low = (10.0, 0.05) if isinstance(process, VarianceExploding) else (0.95, 0.02)
    first, last = (float(log_snr(process, torch.tensor(end, dtype=torch.float64))) for end in (high, low))
    return process.level(torch.linspace(first, last, steps + 1, dtype=torch.float64))
