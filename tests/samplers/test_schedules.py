"""Laws of schedules, for every row of the catalog, and diffusers as oracle."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.core.process import scaled_linear_levels
from modules.samplers import schedules
from modules.samplers.catalog import Levels, Scheduler, builtin, sigmas

TRAINED = scaled_linear_levels()
ROWS = builtin().schedulers()
_HIGHEST = {"align_your_steps": 14.615}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@given(steps=st.integers(1, 200))
def test_levels_fall_from_the_highest_to_zero(row: Scheduler, steps: int) -> None:
    visited = sigmas(row, steps, TRAINED, Levels(), discard_penultimate=False)
    if row.name != "ddim":  # 1000 // steps does not always go into 1000 evenly
        assert visited.shape == (steps + 1,)
    assert float(visited[-1]) == pytest.approx(TRAINED.lowest if row.name == "kl_optimal" else 0)
    assert torch.all(visited[1:] < visited[:-1])
    highest = _HIGHEST.get(row.name, TRAINED.highest)
    if row.name != "align_your_steps" or steps > 1:  # its only step is the lowest level, as in A1111
        assert float(visited[0]) == pytest.approx(highest, rel=1e-4 if row.name != "ddim" else 1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@given(steps=st.integers(2, 100))
def test_discarding_the_penultimate_level_keeps_the_number_of_steps(row: Scheduler, steps: int) -> None:
    whole = sigmas(row, steps + 1, TRAINED, Levels(), discard_penultimate=False)
    shorter = sigmas(row, steps, TRAINED, Levels(), discard_penultimate=True)
    assert shorter.tolist() == [*whole[:-2].tolist(), float(whole[-1])]


@pytest.mark.parametrize("name", ["karras", "exponential"])
def test_bounds_from_the_options(name: str) -> None:
    visited = sigmas(
        builtin().find_scheduler(name), 5, TRAINED, Levels(sigma_min=0.5, sigma_max=8.0), discard_penultimate=False
    )
    assert (float(visited[0]), float(visited[-2])) == pytest.approx((8.0, 0.5), rel=1e-5)


def test_rho_bends_karras_and_nothing_else() -> None:
    bent, straight = (Levels(rho=rho) for rho in (3.0, 0.0))
    for name, equal in {"karras": False, "exponential": True, "uniform": True}.items():
        row = builtin().find_scheduler(name)
        pair = [sigmas(row, 6, TRAINED, levels, discard_penultimate=False) for levels in (bent, straight)]
        assert torch.equal(*pair) == equal


@pytest.mark.parametrize("steps", [5, 20, 50])
def test_karras_levels_are_those_of_diffusers(steps: int) -> None:
    from diffusers import EulerDiscreteScheduler

    oracle = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", use_karras_sigmas=True
    )
    oracle.set_timesteps(steps)
    ours = schedules.karras(steps, sigma_min=TRAINED.lowest, sigma_max=TRAINED.highest)
    assert torch.allclose(ours, oracle.sigmas, rtol=1e-4)


def test_uniform_levels_are_those_of_diffusers() -> None:
    from diffusers import EulerDiscreteScheduler

    oracle = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    oracle.set_timesteps(20)
    assert torch.allclose(schedules.uniform(20, TRAINED), oracle.sigmas, rtol=1e-3)


def level_of(time: float) -> float:
    return float(TRAINED.level_at(torch.tensor(float(time))))


@pytest.mark.parametrize("steps", [1, 7, 8, 20, 50])
def test_ddims_own_levels_are_those_of_diffusers(steps: int) -> None:
    """Latent diffusion's "leading" spacing with an offset of 1; diffusers goes on to the lowest level after it."""
    from diffusers import DDIMScheduler

    oracle = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    )
    oracle.set_timesteps(steps)
    expected = [level_of(min(float(time), 999)) for time in oracle.timesteps]
    ours = schedules.ddim_times(steps, TRAINED).tolist()
    assert ours[-len(expected) :] == pytest.approx(expected, rel=1e-4)


@given(steps=st.integers(1, 1000))
def test_the_timestep_samplers_levels_fall_and_stay_above_zero(steps: int) -> None:
    for visited in (schedules.ddim_times(steps, TRAINED), schedules.unipc_times(steps, TRAINED)):
        assert bool((visited[1:] <= visited[:-1]).all())
        assert float(visited[-1]) > 0


@pytest.mark.parametrize("spacing", ["time_uniform", "time_quadratic", "logSNR"])
def test_unipcs_levels_cover_the_trained_range(spacing: str) -> None:
    visited = schedules.unipc_times(12, TRAINED, spacing=spacing)
    assert (float(visited[0]), float(visited[-1])) == pytest.approx((TRAINED.highest, TRAINED.lowest), rel=1e-4)
    with pytest.raises(ValueError, match="spacing"):
        schedules.unipc_times(12, TRAINED, spacing="even")


def test_align_your_steps_gives_the_published_levels_and_interpolates_between_them() -> None:
    published = schedules.align_your_steps(11, sigma_min=0.1, sigma_max=1.0)
    assert published[:3].tolist() == pytest.approx([14.615, 6.475, 3.861])
    doubled = schedules.align_your_steps(21, sigma_min=0.1, sigma_max=1.0)
    assert torch.allclose(doubled[:-1:2], published[:-1], rtol=1e-5)
    assert torch.allclose(doubled[1] ** 2, published[0] * published[1], rtol=1e-5)


def test_align_your_steps_has_levels_of_its_own_for_the_sdxl_line() -> None:
    row = builtin().find_scheduler("align_your_steps")
    by_family = {
        family: sigmas(row, 11, TRAINED, Levels(family=family), discard_penultimate=False)[1]
        for family in ("", "sd1", "sd2", "sdxl", "sdxl-refiner")
    }
    assert {family: round(float(second), 3) for family, second in by_family.items()} == {
        "": 6.475, "sd1": 6.475, "sd2": 6.475, "sdxl": 6.315, "sdxl-refiner": 6.315,
    }  # fmt: skip


def test_beta_quantiles_come_from_the_options() -> None:
    row = builtin().find_scheduler("beta")
    flat = sigmas(row, 5, TRAINED, Levels(beta_alpha=1.0, beta_beta=1.0), discard_penultimate=False)
    even = torch.linspace(TRAINED.highest, TRAINED.lowest, 5)
    assert torch.allclose(flat[:-1], even, rtol=1e-4)


def test_turbo_visits_the_ends_of_equal_parts() -> None:
    visited = sigmas(builtin().find_scheduler("turbo"), 4, TRAINED, Levels(), discard_penultimate=False)
    assert visited[:-1].tolist() == pytest.approx([level_of(time) for time in (999, 749, 499, 249)])


def test_linear_quadratic_starts_with_equal_steps() -> None:
    visited = schedules.linear_quadratic(8, sigma_min=0.0, sigma_max=1.0)
    steps = visited[:-1] - visited[1:]
    assert torch.allclose(steps[:4], torch.full((4,), 0.025 / 4), atol=1e-6)
    assert bool((steps[4:].diff() > 0).all())


def test_a_samplers_own_levels_win_over_the_schedule() -> None:
    row, _ = builtin().find_sampler("DDIM")
    for name in ("karras", "beta"):
        scheduler = builtin().find_scheduler(name)
        visited = sigmas(scheduler, 8, TRAINED, Levels(), discard_penultimate=False, sampler=row)
        assert torch.equal(visited, schedules.ddim_times(8, TRAINED))
