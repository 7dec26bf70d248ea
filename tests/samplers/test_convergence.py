"""Samplers against the closed-form answer: for Gaussian data the best denoiser and the ODE's solution are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch
from torch import Tensor

from modules.core.brownian import BrownianNoise, BrownianPath
from modules.core.process import NoiseProcess, RectifiedFlow, VarianceExploding
from modules.core.types import StepNoise
from modules.samplers.catalog import Sampler, builtin
from modules.samplers.ddim import ddim, ddim_cfgpp, plms
from modules.samplers.dpm import dpm_adaptive, dpm_fast
from modules.samplers.dpmpp import (
    dpmpp_2m,
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_2s_ancestral,
    dpmpp_3m_sde,
    dpmpp_sde,
)
from modules.samplers.euler import euler, euler_ancestral
from modules.samplers.heun import dpm_2, dpm_2_ancestral, heun
from modules.samplers.lms import lms
from modules.samplers.modern import res_multistep, sa_solver
from modules.samplers.unipc import unipc
from tests.samplers.worlds import (
    DEVIATION,
    MEAN,
    TRAINED,
    Drawn,
    Gaussian,
    Silence,
    extra,
    levels,
    nothing,
    start,
)

Run = Callable[..., Tensor]
PROCESSES = [VarianceExploding(), RectifiedFlow()]
every_process = pytest.mark.parametrize("process", PROCESSES, ids=lambda each: type(each).__name__)

ORDERS: Mapping[str, tuple[Run, float]] = {
    "euler": (euler, 1),
    "ddim": (ddim, 1),
    "dpmpp_2m": (dpmpp_2m, 2),
    "dpmpp_2s": (partial(dpmpp_2s_ancestral, eta=0.0), 2),
    "dpmpp_sde": (partial(dpmpp_sde, eta=0.0), 2),
    "dpmpp_2m_sde": (partial(dpmpp_2m_sde, eta=0.0), 2),
    "dpmpp_2m_sde_heun": (partial(dpmpp_2m_sde_heun, eta=0.0), 2),
    "heun": (heun, 2),
    "dpm_2": (dpm_2, 2),
    "dpm_2_ancestral": (partial(dpm_2_ancestral, eta=0.0), 2),
    "plms": (plms, 2),
    "res_multistep": (res_multistep, 2),
}
"""Deterministic samplers whose order shows on both processes; starts of lower order hide it in the others."""

AT_LEAST: Mapping[str, tuple[Run, float]] = {
    "dpmpp_3m_sde": (partial(dpmpp_3m_sde, eta=0.0), 1.9),
    "lms": (lms, 1.9),
    "unipc_bh1": (unipc, 1.9),
    "unipc_bh2": (partial(unipc, variant="bh2"), 1.9),
    "sa_solver": (partial(sa_solver, eta=0.0, trained=TRAINED), 2.6),
}

NOT_ALONG_THE_LEVELS = {"DPM fast", "DPM adaptive"}
"""They end above 0."""
EXTRAPOLATING = {"LMS", "PLMS"}
"""Their last step goes by older slopes too."""
OWN_LEVELS = {row.name for row in builtin().samplers() if row.scaled}


def rows_but(names: set[str]) -> pytest.MarkDecorator:
    rows = [row for row in builtin().samplers() if row.name not in names]
    return pytest.mark.parametrize("sampler", rows, ids=lambda sampler: sampler.name)


def error(sampler: Run, process: NoiseProcess, steps: int) -> float:
    """Largest distance from the exact answer after `steps` steps over a fixed range."""
    world, sigmas = Gaussian(process), levels(process, steps)
    ours = sampler(world, start(), sigmas, process=process, noise=Drawn(lambda: torch.zeros(1)), on_step=nothing)
    return float((ours - world.flow(start(), sigmas[0], sigmas[-1])).abs().max())


@every_process
@pytest.mark.parametrize("name", ORDERS)
def test_order_of_convergence(name: str, process: NoiseProcess) -> None:
    """Halving the step divides the error by 2^order."""
    sampler, order = ORDERS[name]
    measured = math.log2(error(sampler, process, 128) / error(sampler, process, 256))
    assert measured == pytest.approx(order, abs=0.15)


@every_process
@pytest.mark.parametrize("name", AT_LEAST)
def test_higher_orders_are_no_worse_than_their_start(name: str, process: NoiseProcess) -> None:
    sampler, order = AT_LEAST[name]
    assert math.log2(error(sampler, process, 64) / error(sampler, process, 128)) > order
    assert error(sampler, process, 64) < error(dpmpp_2m, process, 64)


@every_process
def test_dpm_fast_is_of_third_order(process: NoiseProcess) -> None:
    errors = [error(partial(dpm_fast, steps=3 * count - 1), process, count) for count in (32, 64)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(3, abs=0.2)


@every_process
def test_dpm_adaptive_finds_its_way(process: NoiseProcess) -> None:
    """Two levels are all it gets; its steps adapt until the answer is within a few per cent."""
    assert error(dpm_adaptive, process, 1) < 0.1 < error(euler, process, 1)


ANCESTRAL: Mapping[str, tuple[Run, Run]] = {
    "euler": (euler_ancestral, euler),
    "dpm_2": (dpm_2_ancestral, dpm_2),
    "dpmpp_sde": (dpmpp_sde, dpmpp_2s_ancestral),
    "ddim": (ddim, euler),
}


@every_process
@pytest.mark.parametrize("name", ANCESTRAL)
def test_without_noise_an_ancestral_sampler_is_its_deterministic_one(name: str, process: NoiseProcess) -> None:
    noisy, plain = ANCESTRAL[name]
    sigmas, world = levels(process, 20), Gaussian(process)
    arguments = {"process": process, "noise": Drawn(lambda: torch.ones(1, 1, 3, 3)), "on_step": nothing}
    still = {"eta": 0.0} if plain is dpmpp_2s_ancestral else {}
    expected = plain(world, start(), sigmas, **arguments, **still)
    assert torch.allclose(noisy(world, start(), sigmas, eta=0.0, **arguments), expected)


class RealPath(Silence):
    """20,000 pictures of one number each, on a path of their own."""

    def brownian(self, low: Tensor, high: Tensor) -> StepNoise:
        def draw(key: int) -> Tensor:
            return torch.randn(20_000, 1, 1, 1, generator=torch.Generator().manual_seed(key), dtype=torch.float64)

        return BrownianNoise([BrownianPath(float(low), float(high), seed=3, draw=draw)], batched=True)


STOCHASTIC = [
    "Euler a",
    "DPM2 a",
    "DPM++ 2S a",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 3M SDE",
    "DDPM",
    "ER-SDE",
    "SA-Solver",
]


@every_process
@pytest.mark.parametrize("name", STOCHASTIC)
def test_noisy_samplers_reach_the_datas_distribution(name: str, process: NoiseProcess) -> None:
    """Mean and deviation of many samples are the data's."""
    generator = torch.Generator().manual_seed(0)
    row, world = builtin().find_sampler(name)[0], Gaussian(process)
    sigmas = torch.cat([levels(process, 200), torch.zeros(1, dtype=torch.float64)])

    def draw() -> Tensor:
        return torch.randn(20_000, 1, 1, 1, generator=generator, dtype=torch.float64)

    x = process.alpha(sigmas[0]) * MEAN + world.spread(sigmas[0]) * draw()
    noise = RealPath() if name == "DPM++ SDE" else Drawn(draw)  # its two draws a step are parts of one another
    arguments = {"process": process, "noise": noise, "on_step": nothing, **extra(row, sigmas)}
    samples = row.run(world, x, sigmas, **arguments)
    assert float(samples.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(samples.std()) == pytest.approx(DEVIATION, abs=0.02)


@rows_but(NOT_ALONG_THE_LEVELS | EXTRAPOLATING)
def test_every_sampler_ends_at_the_last_guess(sampler: Sampler) -> None:
    """A step to noise level 0 lands on what the model takes for the clean latent; every step is reported once."""
    seen: list[tuple[int, Tensor]] = []

    def watch(step: int, x: Tensor, sigma: Tensor, denoised: Tensor) -> None:
        seen.append((step, denoised))

    process = VarianceExploding()
    sigmas = torch.tensor([10.0, 3.0, 1.0, 0.3, 0.0])
    result = sampler.run(
        Gaussian(process),
        start().float(),
        sigmas,
        process=process,
        noise=Drawn(lambda: torch.ones(1)),
        on_step=watch,
        **extra(sampler, sigmas),
    )
    assert [step for step, _ in seen] == [0, 1, 2, 3]
    assert torch.allclose(result, seen[-1][1], atol=1e-5)


@rows_but({"DPM adaptive"})  # one error estimate for the whole batch, as in A1111
def test_a_batch_equals_single_pictures(sampler: Sampler) -> None:
    process, sigmas = VarianceExploding(), torch.tensor([10.0, 3.0, 1.0, 0.1])
    pictures = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(1)) * 10

    def run(x: Tensor) -> Tensor:
        arguments = {"process": process, "noise": Drawn(lambda: torch.ones_like(x)), "on_step": nothing}
        return sampler.run(Gaussian(process), x, sigmas, **arguments, **extra(sampler, sigmas))

    assert torch.equal(run(pictures), torch.cat([run(each.unsqueeze(0)) for each in pictures]))


@rows_but(NOT_ALONG_THE_LEVELS | OWN_LEVELS | {"Restart"})
def test_every_sampler_can_start_from_pure_noise_of_a_rectified_flow(sampler: Sampler) -> None:
    """At sigma = 1 alpha is 0 and log(alpha / sigma) has no value: the step's limit is taken, the answer is finite."""
    process, sigmas = RectifiedFlow(), torch.linspace(1, 0, 21, dtype=torch.float64)
    noise = Drawn(lambda: torch.zeros(1, 1, 3, 3, dtype=torch.float64))
    arguments = {"process": process, "noise": noise, "on_step": nothing, **extra(sampler, sigmas)}
    assert bool(sampler.run(Gaussian(process), start(), sigmas, **arguments).isfinite().all())


def test_churn_of_nothing_is_the_plain_sampler() -> None:
    process, sigmas = VarianceExploding(), torch.tensor([10.0, 3.0, 1.0, 0.0], dtype=torch.float64)
    arguments = {"process": process, "noise": Drawn(lambda: torch.zeros(1, 1, 3, 3)), "on_step": nothing}
    samplers: list[Run] = [euler, heun, dpm_2]
    for sampler in samplers:
        plain = sampler(Gaussian(process), start(), sigmas, **arguments)
        outside = sampler(Gaussian(process), start(), sigmas, s_churn=5.0, s_tmin=100.0, **arguments)
        assert torch.equal(plain, outside)


def test_guidance_plus_plus_renoises_with_the_unguided_guess() -> None:
    """Without a prompt's pull it is DDIM; with a wrong unguided guess the noise, and only that, is another."""
    process, sigmas = VarianceExploding(), torch.tensor([10.0, 4.0], dtype=torch.float64)
    arguments = {"process": process, "noise": Silence(), "on_step": nothing}
    plain = ddim(Gaussian(process), start(), sigmas, **arguments)
    assert torch.equal(ddim_cfgpp(Gaussian(process), start(), sigmas, **arguments), plain)
    other = torch.zeros_like(start())
    moved = ddim_cfgpp(Gaussian(process, negative=other), start(), sigmas, **arguments)
    guess = Gaussian(process)(start(), sigmas[0])
    assert torch.allclose(moved - plain, (guess - other) * sigmas[1] / sigmas[0])


def test_unipc_names_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="bh3"):
        unipc(
            Gaussian(VarianceExploding()),
            start(),
            torch.tensor([3.0, 1.0]),
            process=VarianceExploding(),
            noise=Silence(),
            on_step=nothing,
            variant="bh3",
        )
