"""UniPC: a multistep predictor whose own model call also corrects it (Zhao et al. 2023,
https://arxiv.org/abs/2302.04867), data prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from modules.core.process import NoiseProcess, log_snr
from modules.core.types import Denoiser, Noise, OnStep

VARIANTS = ("bh1", "bh2", "vary_coeff")


class _Known(NamedTuple):
    """A model call: its level and its guess."""

    sigma: Tensor
    guess: Tensor


def unipc(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    variant: str = "bh1",
    order: int = 3,
    lower_order_final: bool = True,
) -> Tensor:
    """Algorithms 5 and 6 of the paper, one model call a step, none after the last.

    x (B, C, H, W), sigmas (steps + 1,) falling. variant: B(h) = h ("bh1"), expm1(h) ("bh2") or varying coefficients;
    order 1..; lower_order_final: the last steps are of orders 2 and 1. Raises ValueError for another variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f'UniPC has no variant "{variant}": {", ".join(VARIANTS)}.')
    steps = len(sigmas) - 1
    if not steps:
        return x
    order = min(order, steps)
    weigh = _varying if variant == "vary_coeff" else (_bh1 if variant == "bh1" else _bh2)
    known = [_Known(sigmas[0], denoise(x, sigmas[0]))]
    on_step(0, x, sigmas[0], known[0].guess)
    for step in range(1, steps + 1):
        target = sigmas[step]
        if not bool(target):
            return known[0].guess
        now = min(order, step)
        if lower_order_final and step >= order:
            now = min(now, steps + 1 - step)
        h, ratios = _places(process, known[:now], target)
        base = _base(process, x, known[0], target, h)
        slopes = [(each.guess - known[0].guess) / ratio for each, ratio in zip(known[1:now], ratios, strict=True)]
        scale = process.alpha(target)
        ahead = base - scale * _sum(weigh(h, ratios, corrects=False), slopes)
        if step == steps:
            return ahead
        guess = denoise(ahead, target)
        on_step(step, ahead, target, guess)
        x = base - scale * _sum(weigh(h, ratios, corrects=True), [*slopes, guess - known[0].guess])
        known = [_Known(target, guess), *known][:order]
    return x


def _places(process: NoiseProcess, known: Sequence[_Known], target: Tensor) -> tuple[float, list[float]]:
    """(the step's length h in log(alpha / sigma), where the older calls lie, in units of h and so negative)."""
    times = [float(log_snr(process, each.sigma.double())) for each in known]
    h = float(log_snr(process, target.double())) - times[0]
    return h, [(time - times[0]) / h for time in times[1:]]


def _base(process: NoiseProcess, x: Tensor, known: _Known, target: Tensor, h: float) -> Tensor:
    """The first-order step."""
    return target / known.sigma * x - process.alpha(target) * math.expm1(-h) * known.guess


def _sum(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor | float:
    total: Tensor | float = 0.0
    for weight, slope in zip(weights, slopes, strict=True):
        total = total + weight * slope
    return total


def _bh1(h: float, ratios: list[float], *, corrects: bool) -> list[float]:
    return _fixed(h, ratios, -h, corrects=corrects)


def _bh2(h: float, ratios: list[float], *, corrects: bool) -> list[float]:
    return _fixed(h, ratios, math.expm1(-h), corrects=corrects)


def _fixed(h: float, ratios: list[float], scale: float, *, corrects: bool) -> list[float]:
    """B(h) times the weights that match the expansion's terms (eq. 9); at order 2 (predictor) and 1 (corrector) 1/2."""
    places = [*ratios, 1.0] if corrects else ratios
    if not places:
        return []
    if len(places) == 1:
        return [scale * 0.5]
    functions = _phi(-h, len(places) + 1)
    terms = [functions[power] * math.factorial(power) / scale for power in range(1, len(places) + 1)]
    powers = torch.tensor([[place**power for place in places] for power in range(len(places))], dtype=torch.float64)
    solved = torch.linalg.solve(powers, torch.tensor(terms, dtype=torch.float64))
    return [scale * weight for weight in solved.tolist()]


def _varying(h: float, ratios: list[float], *, corrects: bool) -> list[float]:
    """The weights of UniPC_v (app. C): the inverse of the matrix of powers, applied to the functions phi."""
    places = [*ratios, 1.0] if corrects else ratios
    if not places:
        return []
    functions = _phi(-h, len(places) + 1)
    matrix = torch.tensor(
        [[place**power / math.factorial(power + 1) for power in range(len(places))] for place in places],
        dtype=torch.float64,
    ).inverse()
    rows = matrix.tolist()
    if not corrects:
        return [sum(functions[row + 1] * rows[row][column] for row in range(len(rows))) for column in range(len(rows))]
    # As the authors' code has it, and so all pictures made with it: the last row is left out but for the newest call,
    # which takes its weight from the row before.
    older = range(len(rows) - 1)
    weights = [sum(functions[row + 1] * rows[row][column] for row in older) for column in older]
    return [*weights, functions[len(rows)] * rows[max(len(rows) - 2, 0)][-1]]


def _phi(z: float, count: int) -> list[float]:
    """z phi_1, z phi_2 … of exponential integrators: expm1(z), then each divided by z less 1 / k!."""
    values = [math.expm1(z)]
    for number in range(1, count + 1):
        values.append(values[-1] / z - 1 / math.factorial(number))
    return values
