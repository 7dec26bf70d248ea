"""Samplers that no library has: the papers' integrals, worked out by quadrature, as oracle."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from modules.core.process import VarianceExploding
from modules.samplers import modern
from modules.samplers.catalog import builtin
from modules.samplers.modern import er_sde, res_multistep
from tests.samplers.worlds import DEVIATION, MEAN, Drawn, Gaussian, levels, nothing, start

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


# --- Restart (Xu et al. 2023, algorithm 1), number by number

LOW, HIGH = 0.1, 2.0


def karras(count: int, low: float, high: float) -> list[float]:
    """Karras et al. 2022, eq. 5, with rho 7 and without the last 0."""
    bottom, top = low ** (1 / 7), high ** (1 / 7)
    return [(top + number / (count - 1) * (bottom - top)) ** 7 for number in range(count)]


def restarted(x: float, steps: int, draws: Callable[[], float]) -> float:
    """As A1111 spends so many steps on the interval from 2 to 0.1: fewer than 20 not at all, from 36 on two times a
    quarter of them, else nine once. Heun's steps down; up by noise that brings the variance to the upper level's.
    """
    given = [*karras(steps, 0.05, 10.0), 0.0]
    again, times = (0, 0) if steps < 20 else (steps // 4, 2) if steps >= 36 else (9, 1)
    main = [*karras(steps - again * times, given[-2], given[0]), 0.0] if times else given
    bottom, top = (min(main, key=lambda level: abs(level - wanted)) for wanted in (LOW, HIGH))
    for now, then in itertools.pairwise(main):
        x = heuns(x, now, then)
        if then == bottom and times:
            for _ in range(times):
                x += draws() * math.sqrt(top**2 - bottom**2)
                for start_, end in itertools.pairwise(karras(again + 1, bottom, top)):
                    x = heuns(x, start_, end)
    return x


def heuns(x: float, now: float, then: float) -> float:
    slope = slope_at(x, now)
    ahead = x + slope * (then - now)
    return x + (slope + slope_at(ahead, then)) / 2 * (then - now) if then else ahead


def slope_at(x: float, level: float) -> float:
    """The probability-flow ODE of Gaussian data."""
    variance = DEVIATION**2
    guess = MEAN + variance / (variance + level**2) * (x - MEAN)
    return (x - guess) / level


@pytest.mark.parametrize("steps", [12, 20, 35, 36, 50])
def test_restart(steps: int) -> None:
    drawn = [0.3, -0.8]
    theirs, ours = iter(drawn), iter(drawn)
    row, _ = builtin().find_sampler("Restart")
    visited = torch.tensor([*karras(steps, 0.05, 10.0), 0.0], dtype=torch.float64)
    noise = Drawn(lambda: torch.full((1, 1, 1, 1), next(ours), dtype=torch.float64))
    x = torch.full((1, 1, 1, 1), 3.0, dtype=torch.float64)
    found = row.run(WORLD, x, visited, process=PROCESS, noise=noise, on_step=nothing)
    assert float(found) == pytest.approx(restarted(3.0, steps, lambda: next(theirs)), rel=1e-5)
    assert list(ours) == list(theirs)  # as many draws
