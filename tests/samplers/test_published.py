"""Samplers that no library has: the papers' integrals, worked out by quadrature, as oracle."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from modules.core.process import VarianceExploding
from modules.samplers import modern
from modules.samplers.modern import er_sde, res_multistep
from tests.samplers.worlds import DEVIATION, Drawn, Gaussian, levels, nothing, start

PROCESS = VarianceExploding()
WORLD = Gaussian(PROCESS)
DRAWN = 0.3
"""What every draw of noise is."""
FINE = 50_000
"""Terms of ER-SDE's sums, so that they are integrals to the sixth digit."""


def strength(level: float) -> float:
    """ER-SDE's fifth noise scale function (Cui et al. 2023, app. A.8)."""
    return level * (math.exp(level**0.3) + 10)


def steepness(level: float) -> float:
    """Its derivative."""
    return math.exp(level**0.3) * (1 + 0.3 * level**0.3) + 10


def drawing() -> Drawn:
    return Drawn(lambda: torch.full((1, 1, 3, 3), DRAWN, dtype=torch.float64))


def extended(x: Tensor, sigmas: Tensor) -> Tensor:
    """The paper's solution of the extended reverse-time SDE over each step: x' = r x + p' * integral of
    p(s)' / p(s)^2 * guess(s) over the step + noise, r the ratio of the noise scales p; the guess is the Taylor
    polynomial of as many orders as there are guesses for, at most two, its derivatives from divided differences.
    """
    past: list[tuple[float, Tensor]] = []
    slopes: list[Tensor] = []
    for now, then in itertools.pairwise(sigmas.tolist()):
        guess = WORLD(x, torch.tensor(now, dtype=torch.float64))
        terms = [guess]
        if past:
            slopes.append((guess - past[-1][1]) / (now - past[-1][0]))
            terms.append(slopes[-1])
        if len(past) > 1:
            terms.append(2 * (slopes[-1] - slopes[-2]) / (now - past[-2][0]) / 2)
        ratio = strength(then) / strength(now)
        parts = [_weight(power, then, now) * term for power, term in enumerate(terms)]
        fresh = math.sqrt(then**2 - (now * ratio) ** 2)
        x = ratio * x + strength(then) * torch.stack(parts).sum(0) + fresh * DRAWN
        past.append((now, guess))
    return x


def _weight(power: int, then: float, now: float) -> float:
    found, _ = quad(
        lambda level: steepness(level) / strength(level) ** 2 * (level - now) ** power, then, now, epsabs=1e-13
    )
    return float(found)


def test_er_sde_solves_the_papers_integral(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modern, "POINTS", FINE)
    sigmas = levels(PROCESS, 7)
    ours = er_sde(WORLD, start(), sigmas, process=PROCESS, noise=drawing(), on_step=nothing)
    assert torch.allclose(ours, extended(start(), sigmas), rtol=1e-5, atol=1e-5)


def test_er_sdes_drift_is_of_second_order_as_its_first_step_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the draws what is left is linear for Gaussian data: the distance from the mean shrinks by an exponential
    of an integral.
    """
    monkeypatch.setattr(modern, "POINTS", FINE)
    errors = [_drift_error(steps) for steps in (40, 80)]
    assert math.log2(errors[0] / errors[1]) > 1.9


def _drift_error(steps: int) -> float:
    sigmas = levels(PROCESS, steps)
    silent = Drawn(lambda: torch.zeros(1, dtype=torch.float64))
    ours = er_sde(WORLD, start(), sigmas, process=PROCESS, noise=silent, on_step=nothing)
    shrink, _ = quad(
        lambda level: steepness(level) / strength(level) * level**2 / (DEVIATION**2 + level**2),
        float(sigmas[-1]),
        float(sigmas[0]),
        epsabs=1e-12,
    )
    mean = WORLD(torch.zeros(1, dtype=torch.float64), torch.tensor(1e9, dtype=torch.float64))
    return float((ours - mean - (start() - mean) * math.exp(-shrink)).abs().max())


def exponential(x: Tensor, sigmas: Tensor) -> Tensor:
    """RES (Zhang et al. 2023, eq. 5 with a polynomial of two guesses): x' = e^-h x + the integral over the step of
    e^-(h - t) times the straight line through the last two guesses, in t = -log sigma.
    """
    before: tuple[float, Tensor] | None = None
    for now, then in itertools.pairwise(sigmas.tolist()):
        guess, h = WORLD(x, torch.tensor(now, dtype=torch.float64)), math.log(now / then)
        slope = torch.zeros_like(x) if before is None else (guess - before[1]) / math.log(before[0] / now)
        whole, _ = quad(lambda t, h=h: math.exp(t - h), 0, h)
        lever, _ = quad(lambda t, h=h: math.exp(t - h) * t, 0, h)
        x = math.exp(-h) * x + whole * guess + lever * slope
        before = now, guess
    return x


def test_res_multistep_solves_the_papers_integral() -> None:
    sigmas = levels(PROCESS, 9)
    ours = res_multistep(WORLD, start(), sigmas, process=PROCESS, noise=drawing(), on_step=nothing)
    assert torch.allclose(ours, exponential(start(), sigmas), rtol=1e-9, atol=1e-9)
