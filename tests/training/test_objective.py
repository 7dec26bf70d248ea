"""Laws of the forward process and of the losses: variances add up, targets determine x0, weights are those of x0."""

from __future__ import annotations

import pytest
import torch

from modules.core.errors import BadRequest
from modules.training import objective
from modules.training.objective import SCHEDULES, TARGETS, Noised, diffused, interpolated, loss


def noised(prediction: str, count: int = 6) -> Noised:
    generator = torch.Generator().manual_seed(0)
    clean, eps = (torch.randn(count, 4, 8, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    if prediction == "flow":
        return interpolated(clean, eps, torch.linspace(0.05, 0.95, count, dtype=torch.float64))
    return diffused(clean, eps, torch.linspace(0.01, 0.99, count, dtype=torch.float64))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_signal_only_fades(name: str) -> None:
    kept = SCHEDULES[name]().kept
    assert len(kept) == objective.STEPS
    assert (kept[1:] < kept[:-1]).all()
    assert 0.99 < kept[0] < 1
    assert kept[-1] < 0.01


def test_a_step_at_a_time_ends_where_the_closed_form_does() -> None:
    """x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) noise, t times: mean and variance are those of q(x_t | x0)."""
    kept = SCHEDULES["scaled_linear"]().kept.double()
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    betas = 1 - kept / before
    scale, variance = 1.0, 0.0
    for beta in betas.tolist():
        scale, variance = scale * (1 - beta) ** 0.5, variance * (1 - beta) + beta
    assert scale == pytest.approx(float(kept[-1].sqrt()), rel=1e-9)
    assert variance == pytest.approx(float(1 - kept[-1]), rel=1e-9)


def test_variance_is_preserved() -> None:
    given = noised("eps")
    torch.testing.assert_close(given.signal**2 + given.noise**2, torch.ones_like(given.signal))
    flow = noised("flow")
    torch.testing.assert_close(flow.signal + flow.noise, torch.ones_like(flow.signal))


@pytest.mark.parametrize("prediction", TARGETS)
def test_the_right_answer_gives_back_the_picture(prediction: str) -> None:
    given, row = noised(prediction), TARGETS[prediction]
    back = row.clean(given.x, row.of(given), given.signal, given.noise)
    torch.testing.assert_close(back, given.clean)
    assert loss(row.of(given), given, prediction).max() == 0


@pytest.mark.parametrize("prediction", TARGETS)
@pytest.mark.parametrize("gamma", [0.5, 5.0])
def test_min_snr_is_the_loss_of_x0_times_the_clamped_snr(prediction: str, gamma: float) -> None:
    given, row = noised(prediction), TARGETS[prediction]
    answer = row.of(given) + 0.1 * torch.randn(given.x.shape, generator=torch.Generator().manual_seed(1))
    guess = row.clean(given.x, answer, given.signal, given.noise)
    of_x0 = ((guess - given.clean) ** 2).mean(dim=(1, 2, 3))
    expected = of_x0 * given.snr.reshape(-1).clamp(max=gamma)
    torch.testing.assert_close(loss(answer, given, prediction, gamma=gamma).double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("prediction", TARGETS)
def test_the_least_snr_holds_the_weight_of_what_is_noisier(prediction: str) -> None:
    given = noised(prediction)
    answer = torch.zeros_like(given.x)
    least = float(given.snr.median())
    plain, held = (loss(answer, given, prediction, gamma=5.0, least=each) for each in (0.0, least))
    expected = plain * (least / given.snr.reshape(-1)).clamp(min=1)
    assert (held > plain).any()
    torch.testing.assert_close(held.double(), expected.double(), rtol=1e-4, atol=1e-6)


def test_an_unbounded_gamma_leaves_the_loss_of_eps_alone() -> None:
    given = noised("eps")
    answer = torch.zeros_like(given.x)
    torch.testing.assert_close(loss(answer, given, "eps", gamma=1e9).float(), loss(answer, given, "eps"))


def test_v_is_the_velocity_of_the_circle() -> None:
    """signal = cos a, noise = sin a: v = dx/da (Salimans and Ho 2022, appendix D)."""
    clean, eps = torch.tensor([[[[0.3]]]], dtype=torch.float64), torch.tensor([[[[-1.2]]]], dtype=torch.float64)
    angle, small = 0.7, 1e-6

    def at(a: float) -> Noised:
        return diffused(clean, eps, torch.tensor([a], dtype=torch.float64).cos() ** 2)

    slope = (at(angle + small).x - at(angle - small).x) / (2 * small)
    torch.testing.assert_close(TARGETS["v"].of(at(angle)), slope, rtol=1e-6, atol=1e-8)


def test_an_unknown_prediction_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="speed"):
        objective.target("speed")
