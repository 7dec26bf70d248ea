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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@given(steps=st.integers(1, 200))
def test_levels_fall_from_the_highest_to_zero(row: Scheduler, steps: int) -> None:
    visited = sigmas(row, steps, TRAINED, Levels(), discard_penultimate=False)
    assert visited.shape == (steps + 1,)
    assert visited[-1] == 0
    assert torch.all(visited[1:] < visited[:-1])
    assert float(visited[0]) == pytest.approx(TRAINED.highest, rel=1e-4)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@given(steps=st.integers(2, 100))
def test_discarding_the_penultimate_level_keeps_the_number_of_steps(row: Scheduler, steps: int) -> None:
    whole = sigmas(row, steps + 1, TRAINED, Levels(), discard_penultimate=False)
    shorter = sigmas(row, steps, TRAINED, Levels(), discard_penultimate=True)
    assert shorter.tolist() == [*whole[:-2].tolist(), 0.0]


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
