"""Samplers against the closed-form answer: for Gaussian data the best denoiser and the ODE's solution are known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modules.core.process import NoiseProcess, RectifiedFlow, VarianceExploding
from modules.samplers.catalog import builtin
from modules.samplers.dpmpp import dpmpp_2m
from modules.samplers.euler import euler, euler_ancestral

MEAN, DEVIATION = 0.7, 0.5
RANGES = {"VarianceExploding": (10.0, 0.05), "RectifiedFlow": (0.95, 0.02)}


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Data N(MEAN, DEVIATION^2) seen through a noise process."""

    process: NoiseProcess

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
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


def silence() -> Tensor:
    raise AssertionError("a deterministic sampler drew noise")


def start() -> Tensor:
    return torch.linspace(-8, 8, 9, dtype=torch.float64).reshape(1, 1, 3, 3)


def error(sampler: Callable[..., Tensor], process: NoiseProcess, steps: int) -> float:
    """Largest distance from the exact answer after `steps` steps over a fixed range."""
    world = Gaussian(process)
    high, low = RANGES[type(process).__name__]
    sigmas = torch.logspace(math.log10(high), math.log10(low), steps + 1, dtype=torch.float64)
    ours = sampler(world.denoise, start(), sigmas, process=process, noise=silence, on_step=nothing)
    return float((ours - world.flow(start(), sigmas[0], sigmas[-1])).abs().max())


@pytest.mark.parametrize("process", [VarianceExploding(), RectifiedFlow()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(("sampler", "order"), [(euler, 1), (dpmpp_2m, 2)], ids=["euler", "dpmpp_2m"])
def test_order_of_convergence(sampler: Callable[..., Tensor], order: int, process: NoiseProcess) -> None:
    """Halving the step divides the error by 2^order."""
    measured = math.log2(error(sampler, process, 128) / error(sampler, process, 256))
    assert measured == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("process", [VarianceExploding(), RectifiedFlow()], ids=lambda each: type(each).__name__)
def test_ancestral_sampling_without_noise_is_euler(process: NoiseProcess) -> None:
    high, low = RANGES[type(process).__name__]
    sigmas = torch.linspace(high, low, 20, dtype=torch.float64)
    arguments = {"process": process, "noise": lambda: torch.ones(1, 1, 3, 3), "on_step": nothing}
    world = Gaussian(process)
    plain = euler(world.denoise, start(), sigmas, **arguments)
    assert torch.allclose(euler_ancestral(world.denoise, start(), sigmas, eta=0.0, **arguments), plain)


@pytest.mark.parametrize("process", [VarianceExploding(), RectifiedFlow()], ids=lambda each: type(each).__name__)
def test_ancestral_sampling_reaches_the_datas_distribution(process: NoiseProcess) -> None:
    """Mean and deviation of many samples are the data's."""
    generator = torch.Generator().manual_seed(0)
    count = 20_000
    high, _ = RANGES[type(process).__name__]
    levels = torch.logspace(math.log10(high), math.log10(high / 400), 300, dtype=torch.float64)
    sigmas = torch.cat([levels, levels.new_zeros(1)])
    world = Gaussian(process)

    def noise() -> Tensor:
        return torch.randn(count, 1, 1, 1, generator=generator, dtype=torch.float64)

    x = process.alpha(sigmas[0]) * MEAN + world.spread(sigmas[0]) * noise()
    samples = euler_ancestral(world.denoise, x, sigmas, process=process, noise=noise, on_step=nothing)
    assert float(samples.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(samples.std()) == pytest.approx(DEVIATION, abs=0.02)


@pytest.mark.parametrize("sampler", builtin().samplers(), ids=lambda sampler: sampler.name)
def test_every_sampler_ends_at_the_last_guess(sampler: object) -> None:
    """A step to noise level 0 lands on what the model takes for the clean latent; every step is reported once."""
    seen: list[tuple[int, Tensor]] = []

    def watch(step: int, x: Tensor, sigma: Tensor, denoised: Tensor) -> None:
        seen.append((step, denoised))

    process = VarianceExploding()
    sigmas = torch.tensor([10.0, 3.0, 1.0, 0.3, 0.0])
    result = sampler.run(  # type: ignore[attr-defined]
        Gaussian(process).denoise, start().float(), sigmas, process=process, noise=lambda: torch.ones(1), on_step=watch
    )
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert torch.allclose(result, seen[-1][1], atol=1e-5)


@pytest.mark.parametrize("sampler", builtin().samplers(), ids=lambda sampler: sampler.name)
def test_a_batch_equals_single_pictures(sampler: object) -> None:
    process, sigmas = VarianceExploding(), torch.tensor([10.0, 3.0, 1.0, 0.0])
    pictures = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(1)) * 10

    def run(x: Tensor) -> Tensor:
        arguments = {"process": process, "noise": lambda: torch.ones_like(x), "on_step": nothing}
        result: Tensor = sampler.run(Gaussian(process).denoise, x, sigmas, **arguments)  # type: ignore[attr-defined]
        return result

    assert torch.equal(run(pictures), torch.cat([run(each.unsqueeze(0)) for each in pictures]))


def test_churn_of_nothing_is_plain_euler() -> None:
    process, sigmas = VarianceExploding(), torch.tensor([10.0, 3.0, 1.0, 0.0], dtype=torch.float64)
    arguments = {"process": process, "noise": lambda: torch.zeros(1, 1, 3, 3), "on_step": nothing}
    plain = euler(Gaussian(process).denoise, start(), sigmas, **arguments)
    outside = euler(Gaussian(process).denoise, start(), sigmas, s_churn=5.0, s_tmin=100.0, **arguments)
    assert torch.equal(plain, outside)


def test_a_rectified_flow_can_start_at_pure_noise() -> None:
    """At sigma = 1 alpha is 0: the first step of DPM++ 2M takes the limit and stays finite."""
    process = RectifiedFlow()
    sigmas = torch.linspace(1, 0, 21, dtype=torch.float64)
    world = Gaussian(process)
    result = dpmpp_2m(world.denoise, start(), sigmas, process=process, noise=silence, on_step=nothing)
    exact = world.flow(start(), sigmas[0], sigmas[-1])
    assert float((result - exact).abs().max()) < 0.1
