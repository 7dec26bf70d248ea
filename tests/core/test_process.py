"""Laws of the noise process: what the split of an ancestral step must add up to; the clock between trained levels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modules.core.process import (
    NoiseProcess,
    RectifiedFlow,
    VarianceExploding,
    distilled,
    downcast,
    levels_of_betas,
    log_snr,
    scaled_linear_levels,
    zero_terminal,
)

PROCESSES = [VarianceExploding(), RectifiedFlow()]
fractions = st.floats(0.01, 0.99)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
@given(top=fractions, part=fractions, eta=st.floats(0, 1))
def test_a_split_step_lands_on_the_target_level(process: NoiseProcess, top: float, part: float, eta: float) -> None:
    """Signal and noise of scale * (alpha(down) x0 + down n) + up n' are alpha(target) and target."""
    sigma, target = torch.tensor(top, dtype=torch.float64), torch.tensor(top * part, dtype=torch.float64)
    down, scale, up = process.split(sigma, target, eta)
    assert torch.allclose(scale * process.alpha(down), process.alpha(target))
    assert torch.allclose((scale * down) ** 2 + up**2, target**2)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
def test_without_eta_nothing_is_added(process: NoiseProcess) -> None:
    down, scale, up = process.split(torch.tensor(0.8), torch.tensor(0.3), 0.0)
    assert (float(down), float(scale)) == pytest.approx((0.3, 1.0))
    assert float(up) == pytest.approx(0.0, abs=1e-6)


def test_full_eta_of_variance_exploding_is_the_ddpm_posterior() -> None:
    """Ho et al. 2020, eq. 7: the variance of x_{t-1} given x_t and x_0, in sigma coordinates."""
    sigma, target = torch.tensor(5.0), torch.tensor(2.0)
    assert float(VarianceExploding().split(sigma, target, 1.0).up) ** 2 == pytest.approx(4 * (25 - 4) / 25)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
def test_signal_to_noise_falls_with_sigma(process: NoiseProcess) -> None:
    ratios = [float(log_snr(process, torch.tensor(sigma))) for sigma in (0.1, 0.3, 0.6, 0.9)]
    assert ratios == sorted(ratios, reverse=True)


def test_stable_diffusions_levels() -> None:
    """The range that every SD1 tool prints."""
    levels = scaled_linear_levels()
    assert (levels.lowest, levels.highest) == pytest.approx((0.0291675, 14.614642), rel=1e-5)
    assert torch.all(levels.sigmas[1:] > levels.sigmas[:-1])


@given(st.floats(0, 999))
def test_time_and_level_are_inverse(time: float) -> None:
    levels = scaled_linear_levels()
    moment = torch.tensor(time, dtype=torch.float64)
    assert float(levels.time_at(levels.level_at(moment))) == pytest.approx(time, abs=0.05)


def test_times_outside_the_trained_range_are_clamped() -> None:
    levels = scaled_linear_levels()
    assert float(levels.time_at(torch.tensor(1e-6))) == 0
    assert float(levels.time_at(torch.tensor(1e6))) == 999


def test_whole_times_are_those_of_the_nearest_level() -> None:
    levels = scaled_linear_levels()
    between = levels.level_at(torch.tensor(500.4))
    assert float(levels.time_at(between, whole=True)) == 500
    assert float(levels.time_at(between)) == pytest.approx(500.4, abs=0.01)


def test_levels_follow_from_betas_by_ddpms_formula() -> None:
    betas = torch.tensor([0.1, 0.2], dtype=torch.float64)
    kept = [0.9, 0.9 * 0.8]
    expected = [((1 - a) / a) ** 0.5 for a in kept]
    assert levels_of_betas(betas).sigmas.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("process", [VarianceExploding(), RectifiedFlow()], ids=lambda each: type(each).__name__)
@given(sigma=st.floats(0.01, 0.99))
def test_level_undoes_log_snr(process: NoiseProcess, sigma: float) -> None:
    level = torch.tensor(sigma, dtype=torch.float64)
    assert float(process.level(log_snr(process, level))) == pytest.approx(sigma)


def test_zero_terminal_levels_end_in_noise_and_keep_the_lowest() -> None:
    plain = scaled_linear_levels()
    bent = zero_terminal(plain)
    assert bent.highest > 4000
    assert bent.lowest == pytest.approx(plain.lowest, rel=1e-3)
    assert bool((bent.sigmas[1:] > bent.sigmas[:-1]).all())


def test_downcast_levels_differ_by_half_precision() -> None:
    plain, rounded = scaled_linear_levels(), downcast(scaled_linear_levels())
    difference = (rounded.sigmas.float() / plain.sigmas - 1).abs()
    assert 0 < float(difference[100:].max()) < 0.01


def test_distilled_levels_are_every_so_many_th_of_the_teachers() -> None:
    teacher = scaled_linear_levels()
    student = distilled(teacher)
    assert len(student.sigmas) == 50
    for time in (19, 39, 999):
        level = teacher.sigmas[time]
        assert float(student.time_at(level)) == time
        assert float(student.time_at(level * 1.001)) == time
        assert float(student.level_at(torch.tensor(float(time)))) == pytest.approx(float(level), rel=1e-5)
    assert (student.first_time, student.last_time) == (19, 999)
