"""What is left to do over a picture: the end of the schedule, for every sampler, schedule and share."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core.process import scaled_linear_levels
from modules.samplers import catalog, schedules
from modules.samplers.catalog import Levels, Sampler, Scheduler, builtin
from modules.samplers.dpm import orders_of

TRAINED = scaled_linear_levels()
SAMPLERS, SCHEDULERS = builtin().samplers(), builtin().schedulers()


def tail(sampler: Sampler, scheduler: Scheduler | None, steps: int, done: int) -> catalog.Tail:
    return catalog.tail(scheduler, steps, done, TRAINED, Levels(), discard_penultimate=False, sampler=sampler)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SAMPLERS), st.integers(1, 60), st.data())
def test_levels_fall_from_where_the_picture_is_noised_to(sampler: Sampler, steps: int, data: st.DataObject) -> None:
    start, sigmas = tail(sampler, None, steps, data.draw(st.integers(1, steps)))
    assert len(sigmas) >= 1
    assert (sigmas.diff() <= 0).all()
    assert float(start) >= float(sigmas[0]) - 1e-6
    assert TRAINED.lowest * 0.99 <= float(start) <= TRAINED.highest * 1.01


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda row: row.label)
def test_the_rest_of_a_schedule_is_its_end(scheduler: Scheduler) -> None:
    plain = next(row for row in SAMPLERS if row.name == "Euler")
    every = catalog.sigmas(scheduler, 10, TRAINED, Levels(), discard_penultimate=False)
    start, sigmas = tail(plain, scheduler, 10, 4)
    assert torch.equal(sigmas, every[6:])
    assert start == every[6]


@pytest.mark.parametrize("done", range(1, 9))
def test_ddim_goes_on_one_level_below_the_noise(done: int) -> None:
    every = schedules.ddim_times(8, TRAINED)
    start, sigmas = schedules.ddim_tail(torch.zeros(2), 8, done, TRAINED)
    assert start == every[-done]
    assert torch.equal(sigmas, every[-done + 1 :] if done > 1 else every[-1:])


@pytest.mark.parametrize("spacing", ["time_uniform", "time_quadratic", "logSNR"])
def test_unipc_begins_where_ddim_does_and_takes_as_many_steps_as_that_has_levels(spacing: str) -> None:
    start, times = schedules.ddim_tail(torch.zeros(2), 8, 5, TRAINED)
    own = schedules.unipc_tail(torch.zeros(2), 8, 5, TRAINED, spacing=spacing)
    assert own.start == start
    assert len(own.sigmas) == len(times) + 1
    assert torch.allclose(own.sigmas[0], times[0], rtol=1e-3)
    assert torch.allclose(own.sigmas[-1], TRAINED.sigmas[0], rtol=1e-3)


@pytest.mark.parametrize("name", ["DPM fast", "DPM adaptive"])
def test_noise_is_as_strong_as_the_schedule_begins_where_a_sampler_goes_its_own_way(name: str) -> None:
    sampler, _ = builtin().find_sampler(name)
    karras = builtin().find_scheduler("Karras")
    start, sigmas = catalog.whole(karras, 8, TRAINED, Levels(sigma_max=5.0), discard_penultimate=False, sampler=sampler)
    assert float(start) == pytest.approx(5.0)
    assert float(sigmas[0]) == pytest.approx(TRAINED.highest)


@pytest.mark.parametrize("steps", [1, 2, 8, 9, 10])
def test_dpm_fasts_levels_fit_its_model_calls_also_without_the_penultimate_one(steps: int) -> None:
    sampler, _ = builtin().find_sampler("DPM fast")
    _, sigmas = catalog.whole(None, steps, TRAINED, Levels(), discard_penultimate=True, sampler=sampler)
    assert len(sigmas) == len(orders_of(steps)) + 1
