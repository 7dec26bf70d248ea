"""The same algorithm, written by others: diffusers' schedulers as oracle, to 1e-5."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.core.process import VarianceExploding
from modules.samplers import schedules
from modules.samplers.catalog import builtin
from modules.samplers.dpmpp import dpmpp_2m
from modules.samplers.heun import dpm_2, heun
from modules.samplers.lms import lms
from tests.samplers.worlds import TRAINED, Drawn, Gaussian, Silence, nothing, start

SD: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
WORLD = Gaussian(VarianceExploding())


def eps_of(x: Tensor, sigma: Tensor) -> Tensor:
    """What a network that predicts noise would answer."""
    return (x - WORLD(x, sigma)) / sigma


def in_sigma_coordinates(oracle: Any, steps: int, x: Tensor) -> Tensor:
    """Run a diffusers scheduler that samples x0 + sigma * noise, with a perfect model."""
    oracle.set_timesteps(steps)
    for time in oracle.timesteps:
        if oracle.step_index is None:
            oracle._init_step_index(time)
        sigma = oracle.sigmas[oracle.step_index].double()
        x = oracle.step(eps_of(x, sigma), time, x).prev_sample
    return x


def close(ours: Tensor, theirs: Tensor) -> bool:
    return bool(torch.allclose(ours.double(), theirs.double(), rtol=1e-5, atol=1e-5))


def test_heun() -> None:
    from diffusers import HeunDiscreteScheduler

    oracle = HeunDiscreteScheduler(**SD)
    theirs = in_sigma_coordinates(oracle, 12, start() * 10)
    visited = torch.cat([oracle.sigmas[:1], oracle.sigmas[1:-1:2], oracle.sigmas[-1:]])
    ours = heun(WORLD, start() * 10, visited, process=WORLD.process, noise=Silence(), on_step=nothing)
    assert close(ours, theirs)


def test_lms() -> None:
    from diffusers import LMSDiscreteScheduler

    oracle = LMSDiscreteScheduler(**SD)
    theirs = in_sigma_coordinates(oracle, 12, start() * 10)
    ours = lms(WORLD, start() * 10, oracle.sigmas, process=WORLD.process, noise=Silence(), on_step=nothing)
    assert bool(torch.allclose(ours.double(), theirs.double(), rtol=1e-3, atol=1e-3))  # they integrate to 1e-4


def test_dpm_2() -> None:
    from diffusers import KDPM2DiscreteScheduler

    oracle = KDPM2DiscreteScheduler(**SD)
    oracle.set_timesteps(12)
    theirs = start() * 10
    for number, time in enumerate(oracle.timesteps):
        sigma = (oracle.sigmas_interpol if number % 2 else oracle.sigmas)[number].double()
        theirs = oracle.step(eps_of(theirs, sigma), time, theirs).prev_sample
    visited = torch.unique_consecutive(oracle.sigmas)
    ours = dpm_2(WORLD, start() * 10, visited, process=WORLD.process, noise=Silence(), on_step=nothing)
    assert close(ours, theirs)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim(eta: float) -> None:
    from diffusers import DDIMScheduler

    oracle = DDIMScheduler(**SD, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading")
    oracle.set_timesteps(10)
    times = oracle.timesteps
    x, drawn = start(), torch.full((1, 1, 3, 3), 0.3, dtype=torch.float64)
    for time in times[:-1]:  # its last step goes below the last of our levels
        sigma = TRAINED.sigmas[time].double()
        eps = eps_of(x * (1 + sigma**2) ** 0.5, sigma)
        x = oracle.step(eps, time, x, eta=eta, variance_noise=drawn).prev_sample
    row, _ = builtin().find_sampler("DDIM")
    visited = schedules.ddim_times(10, TRAINED).double()
    first = start() * (1 + visited[0] ** 2) ** 0.5
    arguments = {"process": WORLD.process, "noise": Drawn(lambda: drawn), "on_step": nothing}
    ours = row.run(WORLD, first, visited, eta=eta, **arguments) / (1 + visited[-1] ** 2) ** 0.5
    assert close(ours, x)


def test_plms() -> None:
    """Theirs asks twice at the second time, ours twice in the first step: the same calls."""
    from diffusers import PNDMScheduler

    oracle: Any = PNDMScheduler(**SD, skip_prk_steps=True, steps_offset=1, timestep_spacing="leading")
    oracle.set_timesteps(10)
    x = start()
    for time in oracle.timesteps[:-1]:  # its last step goes below the last of our levels
        sigma = TRAINED.sigmas[time].double()
        x = oracle.step(eps_of(x * (1 + sigma**2) ** 0.5, sigma), time, x).prev_sample
    row, _ = builtin().find_sampler("PLMS")
    visited = schedules.ddim_times(10, TRAINED).double()
    first = start() * (1 + visited[0] ** 2) ** 0.5
    arguments = {"process": WORLD.process, "noise": Silence(), "on_step": nothing}
    ours = row.run(WORLD, first, visited, **arguments) / (1 + visited[-1] ** 2) ** 0.5
    assert close(ours, x)


def test_ddpm_is_ancestral_sampling() -> None:
    """Ho et al.'s posterior: mean and variance of x at the target, given x and the clean latent."""
    sigma, target = torch.tensor(5.0, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    row, _ = builtin().find_sampler("DDPM")
    drawn = torch.full((1, 1, 3, 3), 0.3, dtype=torch.float64)
    arguments = {"process": WORLD.process, "noise": Drawn(lambda: drawn), "on_step": nothing}
    ours = row.run(WORLD, start(), torch.stack([sigma, target]), **arguments)
    share = target**2 / sigma**2
    mean = share * start() + (1 - share) * WORLD(start(), sigma)
    assert close(ours, mean + drawn * (target**2 * (1 - share)) ** 0.5)


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_unipc(variant: str, order: int) -> None:
    from diffusers import UniPCMultistepScheduler

    oracle = UniPCMultistepScheduler(**SD, solver_type=variant, solver_order=order, final_sigmas_type="sigma_min")
    oracle.set_timesteps(10)
    x = start()
    for number, time in enumerate(oracle.timesteps):
        sigma = oracle.sigmas[number].double()
        x = oracle.step(eps_of(x * (1 + sigma**2) ** 0.5, sigma), time, x).prev_sample
    visited = oracle.sigmas.double()
    row, _ = builtin().find_sampler("UniPC")
    first = start() * (1 + visited[0] ** 2) ** 0.5
    arguments = {"process": WORLD.process, "noise": Silence(), "on_step": nothing}
    ours = row.run(WORLD, first, visited, variant=variant, order=order, **arguments) / (1 + visited[-1] ** 2) ** 0.5
    assert close(ours, x)


def test_dpmpp_2m() -> None:
    from diffusers import DPMSolverMultistepScheduler

    oracle = DPMSolverMultistepScheduler(**SD, use_karras_sigmas=True, lower_order_final=True, final_sigmas_type="zero")
    oracle.set_timesteps(10)
    x = start()
    for number, time in enumerate(oracle.timesteps):
        sigma = oracle.sigmas[number].double()
        x = oracle.step(eps_of(x * (1 + sigma**2) ** 0.5, sigma), time, x).prev_sample
    visited = oracle.sigmas.double()
    first = start() * (1 + visited[0] ** 2) ** 0.5
    ours = dpmpp_2m(WORLD, first, visited, process=WORLD.process, noise=Silence(), on_step=nothing)
    assert close(ours, x)


def test_tcd() -> None:
    from diffusers import TCDScheduler

    oracle = TCDScheduler(**SD)
    oracle.set_timesteps(4)
    drawn = torch.full((1, 1, 3, 3), 0.3, dtype=torch.float64)
    visited = schedules.with_zero(TRAINED.sigmas[oracle.timesteps]).double()
    x = start() / (1 + visited[0] ** 2) ** 0.5
    for number, time in enumerate(oracle.timesteps[:-1]):
        eps = eps_of(x * (1 + visited[number] ** 2) ** 0.5, visited[number])
        noised = oracle.step(eps, time, x, eta=0.3, generator=None)
        level = TRAINED.sigmas[int(0.7 * int(oracle.timesteps[number + 1]))].double()
        x0 = WORLD(x * (1 + visited[number] ** 2) ** 0.5, visited[number])
        # what it draws cannot be handed in: its own noiseless sample is taken, and our draw put on top
        assert close(noised.pred_noised_sample * (1 + level**2) ** 0.5, x0 + level * eps)
        target = visited[number + 1]
        x = (x0 + level * eps + (target**2 - level**2) ** 0.5 * drawn) / (1 + target**2) ** 0.5
    row, _ = builtin().find_sampler("TCD")
    arguments = {"process": WORLD.process, "noise": Drawn(lambda: drawn), "on_step": nothing, "trained": TRAINED}
    ours = row.run(WORLD, start(), visited, **arguments)
    last = visited[-2]
    assert close(ours, WORLD(x * (1 + last**2) ** 0.5, last))


def drawing(seed: int) -> Drawn:
    """The draws that a scheduler makes which is handed a generator of this seed."""
    generator = torch.Generator().manual_seed(seed)
    return Drawn(lambda: torch.randn((1, 1, 3, 3), generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("name", ["LCM", "DDPM"])
def test_few_and_many_steps_with_noise(name: str) -> None:
    """Their LCM mixes less than a ten-millionth of x into its guesses, so it is held to 1e-4."""
    from diffusers import DDPMScheduler, LCMScheduler

    few: Any = LCMScheduler(**SD)
    oracle: Any = few if name == "LCM" else DDPMScheduler(**SD, clip_sample=False, timestep_spacing="leading")
    oracle.set_timesteps(4 if name == "LCM" else 10)
    visited = schedules.with_zero(TRAINED.sigmas[oracle.timesteps]).double()
    generator = torch.Generator().manual_seed(5)
    x = start() / (1 + visited[0] ** 2) ** 0.5
    for sigma, time in zip(visited, oracle.timesteps, strict=False):
        eps = eps_of(x * (1 + sigma**2) ** 0.5, sigma)
        x = oracle.step(eps, time, x, generator=generator).prev_sample
    row, _ = builtin().find_sampler(name)
    ours = row.run(WORLD, start(), visited, process=WORLD.process, noise=drawing(5), on_step=nothing)
    scale = 10 if name == "LCM" else 1
    assert torch.allclose(ours.double(), x.double(), rtol=scale * 1e-5, atol=scale * 1e-5)


@pytest.mark.parametrize("name", ["Euler", "Euler a"])
def test_euler(name: str) -> None:
    from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

    plain: Any = EulerDiscreteScheduler(**SD)
    oracle: Any = plain if name == "Euler" else EulerAncestralDiscreteScheduler(**SD)
    oracle.set_timesteps(12)
    generator, visited, theirs = torch.Generator().manual_seed(5), oracle.sigmas.double(), start()
    for sigma, time in zip(visited, oracle.timesteps, strict=False):
        theirs = oracle.step(eps_of(theirs, sigma), time, theirs, generator=generator).prev_sample
    row, _ = builtin().find_sampler(name)
    ours = row.run(WORLD, start(), visited, process=WORLD.process, noise=drawing(5), on_step=nothing)
    assert close(ours, theirs)


def test_dpm_2_ancestral() -> None:
    from diffusers import KDPM2AncestralDiscreteScheduler

    oracle: Any = KDPM2AncestralDiscreteScheduler(**SD)
    oracle.set_timesteps(12)
    generator, theirs = torch.Generator().manual_seed(5), start()
    for number, time in enumerate(oracle.timesteps):
        sigma = oracle.sigmas_interpol[number - 1] if number % 2 else oracle.sigmas[number]
        theirs = oracle.step(eps_of(theirs, sigma.double()), time, theirs, generator=generator).prev_sample
    visited = torch.unique_consecutive(oracle.sigmas)
    row, _ = builtin().find_sampler("DPM2 a")
    ours = row.run(WORLD, start(), visited, process=WORLD.process, noise=drawing(5), on_step=nothing)
    assert close(ours, theirs)


@pytest.mark.parametrize(("name", "kind"), [("DPM++ 2M SDE", "midpoint"), ("DPM++ 2M SDE Heun", "heun")])
def test_dpmpp_2m_sde(name: str, kind: str) -> None:
    from diffusers import DPMSolverMultistepScheduler

    oracle: Any = DPMSolverMultistepScheduler(
        **SD, algorithm_type="sde-dpmsolver++", solver_type=kind, use_karras_sigmas=True, final_sigmas_type="zero"
    )
    oracle.set_timesteps(10)
    drawn, visited, x = torch.full((1, 1, 3, 3), 0.3, dtype=torch.float64), oracle.sigmas.double(), start()
    for sigma, time in zip(visited, oracle.timesteps, strict=False):
        x = oracle.step(eps_of(x * (1 + sigma**2) ** 0.5, sigma), time, x, variance_noise=drawn).prev_sample
    row, _ = builtin().find_sampler(name)
    first = start() * (1 + visited[0] ** 2) ** 0.5
    arguments = {"process": WORLD.process, "noise": Drawn(lambda: drawn), "on_step": nothing}
    assert close(row.run(WORLD, first, visited, **arguments), x)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_sa_solver_weighs_guesses_as_its_authors_do(order: int, tau: float) -> None:
    from diffusers import SASolverScheduler

    from modules.samplers.modern import _adams

    oracle: Any = SASolverScheduler(**SD)
    places, end = [0.9, 0.5, 0.2, -0.2][:order], 1.4
    begin = places[0]
    told = [torch.tensor(value, dtype=torch.float64) for value in (begin, end, *places, tau)]
    weights = oracle.get_coefficients_fn(order, told[0], told[1], told[2:-1], told[-1])
    theirs = [(1 + tau**2) * float(weight) * math.exp(-(1 + tau**2) * end) for weight in weights]
    unit = torch.eye(order, dtype=torch.float64)
    ours = _adams([(place, row) for place, row in zip(places, unit, strict=True)], end, end - begin, tau)
    assert ours.tolist() == pytest.approx(theirs, rel=1e-5, abs=1e-5)
