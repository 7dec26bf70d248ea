"""Samplers of today's field that A1111 has not: TCD, ER-SDE, RES multistep, SA-Solver."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from modules.core.process import NoiseProcess, TrainedLevels, log_snr
from modules.core.types import Denoiser, Noise, OnStep
from modules.samplers.ddim import seen
from modules.samplers.dpmpp import toward

POINTS = 200
"""Sum terms for ER-SDE's integrals, as its authors take."""


def tcd(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    trained: TrainedLevels,
    gamma: float = 0.3,
) -> Tensor:
    """Strategic stochastic sampling for trajectory consistency distillation (Zheng et al. 2024,
    https://arxiv.org/abs/2402.19159, algorithm 4): jump to (1 - gamma) of the target's time, then noise up to it.
    """
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if not bool(target):
            return denoised
        level = trained.level_at(((1 - gamma) * trained.time_at(target)).floor()).to(sigma)
        level = torch.minimum(level, target)
        x = process.alpha(level) * denoised + level * seen(process, x, sigma, denoised)
        scale = process.alpha(target) / process.alpha(level)
        x = scale * x + (target**2 - (scale * level) ** 2).clamp(min=0) ** 0.5 * noise()
    return x


def er_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    s_noise: float = 1.0,
) -> Tensor:
    """ER-SDE-Solver-3 (Cui et al. 2023, https://arxiv.org/abs/2309.06169, data prediction, noise scale 5)."""
    known: list[tuple[Tensor, Tensor]] = []
    slope: Tensor | None = None
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if not bool(target):
            return denoised
        alpha = process.alpha(target)
        if not bool(process.alpha(sigma)):  # from pure noise all goes to the guess and fresh noise
            x = alpha * denoised + target * noise() * s_noise
            continue
        old, new = sigma / process.alpha(sigma), target / alpha
        ratio = _strength(new) / _strength(old)
        x = alpha / process.alpha(sigma) * ratio * x + alpha * (1 - ratio) * denoised
        width = (old - new) / POINTS
        places = new + torch.arange(POINTS).to(new) * width
        if known:
            steeper = (denoised - known[0][1]) / (old - known[0][0])
            whole = (1 / _strength(places)).sum() * width
            x = x + alpha * (new - old + whole * _strength(new)) * steeper
            if slope is not None:
                bend = (steeper - slope) / ((old - known[1][0]) / 2)
                whole = ((places - old) / _strength(places)).sum() * width
                x = x + alpha * ((new - old) ** 2 / 2 + whole * _strength(new)) * bend
            slope = steeper
        known = [(old, denoised), *known][:2]
        x = x + alpha * (new**2 - (old * ratio) ** 2).clamp(min=0) ** 0.5 * noise() * s_noise
    return x


def _strength(level: Tensor) -> Tensor:
    """The paper's noise scale function 5 of sigma / alpha."""
    return level * ((level**0.3).exp() + 10.0)


def res_multistep(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, process: NoiseProcess, noise: Noise, on_step: OnStep
) -> Tensor:
    """Second-order exponential multistep with refined coefficients (Zhang et al. 2023,
    https://arxiv.org/abs/2308.02157): x' = e^-h x + h (b1 D + b2 D_before).
    """
    before: tuple[Tensor, Tensor] | None = None
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if not bool(target):
            return denoised
        h = log_snr(process, target) - log_snr(process, sigma)
        if before is None:
            x = toward(process, x, sigma, target, denoised)
        else:
            guess, length = before
            first = (-h).expm1() / -h
            second = (first - 1) / -h
            newer, older = first + second * h / length, -second * h / length
            x = target / sigma * x + process.alpha(target) * h * (newer * denoised + older * guess)
        before = (denoised, h) if bool(h.isfinite()) else None
    return x


PREDICTED, CORRECTED = 3, 4
"""Orders of SA-Solver's predictor and corrector (with the newest guess)."""


def sa_solver(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    trained: TrainedLevels,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Stochastic Adams predictor and corrector, one model call a step (Xue et al. 2023,
    https://arxiv.org/abs/2309.05019, algorithm 1). eta is the paper's tau; it acts between a fifth and four fifths of
    model time, elsewhere steps are deterministic.
    """
    known: list[tuple[float, Tensor]] = []
    last: tuple[Tensor, Tensor, float, float] | None = None
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if not bool(target):
            return denoised
        now, then = (float(log_snr(process, level.double())) for level in (sigma, target))
        if last is not None:
            base, alpha, h, tau = last
            x = base + alpha * _adams([(now, denoised), *known][:CORRECTED], now, h, tau)
        if not math.isfinite(now):  # from alpha = 0 the step has no length: take its limit
            x = toward(process, x, sigma, target, denoised)
            continue
        known = [(now, denoised), *known][: CORRECTED - 1]
        share = float(trained.time_at(sigma.float())) / trained.last_time
        tau, h = (eta if 0.2 <= share <= 0.8 else 0.0), then - now
        base = target / sigma * math.exp(-(tau**2) * h) * x
        if tau:
            base = base + target * math.sqrt(-math.expm1(-2 * tau**2 * h)) * noise() * s_noise
        last = base, process.alpha(target), h, tau
        x = base + process.alpha(target) * _adams(known[:PREDICTED], then, h, tau)
    return x


def _adams(known: list[tuple[float, Tensor]], end: float, h: float, tau: float) -> Tensor:
    """(1 + tau^2) times the integral of e^((1 + tau^2) (u - end)) over the last h before `end`, of the polynomial
    through the known (time, guess).
    """
    rate = 1 + tau**2
    moments = [-math.expm1(-rate * h)]
    for power in range(1, len(known)):
        moments.append(-((-h) ** power) * math.exp(-rate * h) - power / rate * moments[-1])
    powers = torch.tensor([[(time - end) ** power for time, _ in known] for power in range(len(known))]).double()
    weights = torch.linalg.solve(powers, torch.tensor(moments, dtype=torch.float64)).tolist()
    return torch.stack([weight * guess for weight, (_, guess) in zip(weights, known, strict=True)]).sum(0)
