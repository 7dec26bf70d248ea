"""DPM-Solver++ (Lu et al. 2022, https://arxiv.org/abs/2211.01095), data prediction, in alpha-sigma form."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from modules.core.process import NoiseProcess, log_snr
from modules.core.types import Denoiser, Noise, OnStep, PathNoise, StepNoise


def dpmpp_2m(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, process: NoiseProcess, noise: Noise, on_step: OnStep
) -> Tensor:
    """DPM-Solver++(2M), eq. 8 and algorithm 2. x (B, C, H, W), sigmas (steps + 1,) falling to 0.

    The first step and the one to noise level 0 are of first order; so is a step from alpha = 0 (rectified flow at
    sigma = 1), where log(alpha / sigma) has no value and the step's limit is taken.
    """
    last_guess: Tensor | None = None
    last_h: Tensor | None = None
    count = len(sigmas) - 1
    for step in range(count):
        sigma, target = sigmas[step], sigmas[step + 1]
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if step == count - 1 and not bool(target):
            return denoised
        h = log_snr(process, target) - log_snr(process, sigma)
        guess = denoised
        if last_guess is not None and last_h is not None:
            ratio = last_h / h
            bend = 1 / (2 * ratio)
            guess = (1 + bend) * denoised - bend * last_guess
        x = (target / sigma) * x - process.alpha(target) * (-h).expm1() * guess
        last_guess, last_h = denoised, h
    return x


def dpmpp_2s_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver++(2S), algorithm 1, below each target level, then fresh noise. eta 0 (none) .. 1 (ancestral)."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        down, scale, up = process.split(sigma, target, eta)
        guess = denoised
        if bool(down):
            middle = between(process, sigma, down)
            guess = denoise(toward(process, x, sigma, middle, denoised), middle)
        x = toward(process, x, sigma, down, guess)
        if bool(target):
            x = scale * x + noise() * s_noise * up
    return x


def dpmpp_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: PathNoise,
    on_step: OnStep,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver++(2S) for the stochastic equation, the half step with its own share of the path's noise."""
    drawn = path(noise, sigmas)
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if not bool(target):
            return denoised
        # by way of the logarithm and back, as k-diffusion: a Brownian path is rough, so the last digit is visible
        sigma, target = _again(process, sigma), _again(process, target)
        middle = between(process, sigma, target)
        down, scale, up = process.split(sigma, middle, eta)
        halfway = scale * toward(process, x, sigma, down, denoised) + drawn(sigma, middle) * s_noise * up
        guess = denoise(halfway, middle)
        down, scale, up = process.split(sigma, target, eta)
        x = scale * toward(process, x, sigma, down, guess) + drawn(sigma, target) * s_noise * up
    return x


def dpmpp_2m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: PathNoise,
    on_step: OnStep,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver++(2M) for the stochastic equation, the midpoint way (Lu et al. 2022, app. on SDE solvers)."""
    return _two_step_sde(denoise, x, sigmas, process, noise, on_step, eta=eta, s_noise=s_noise, bend=_midpoint)


def dpmpp_2m_sde_heun(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: PathNoise,
    on_step: OnStep,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver++(2M) for the stochastic equation, Heun's way."""
    return _two_step_sde(denoise, x, sigmas, process, noise, on_step, eta=eta, s_noise=s_noise, bend=_heun)


def _kept(h: Tensor, eta: float) -> Tensor:
    """How much of the old noise a stochastic step keeps; h may be infinite (a step from alpha = 0)."""
    return (-eta * h).exp() if eta else torch.ones_like(h)


def _midpoint(h: Tensor) -> Tensor:
    return 0.5 * -(-h).expm1()


def _heun(h: Tensor) -> Tensor:
    return -(-h).expm1() / -h + 1


def _two_step_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    process: NoiseProcess,
    noise: PathNoise,
    on_step: OnStep,
    *,
    eta: float,
    s_noise: float,
    bend: Callable[[Tensor], Tensor],
) -> Tensor:
    """bend: h (1 + eta) -> the weight of the guess's change over the last step, as a share of that step."""
    drawn = path(noise, sigmas)
    last: tuple[Tensor, Tensor] | None = None
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if not bool(target):
            return denoised
        h = log_snr(process, target) - log_snr(process, sigma)
        alpha, whole = process.alpha(target), h * (1 + eta)
        x = _kept(h, eta) * (target / sigma) * x - alpha * (-whole).expm1() * denoised
        if last is not None and bool(last[1].isfinite()):
            x = x + alpha * bend(whole) * (h / last[1]) * (denoised - last[0])
        if eta:
            x = x + drawn(sigma, target) * target * (-(-2 * eta * h).expm1()).sqrt() * s_noise
        last = denoised, h
    return x


def dpmpp_3m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: PathNoise,
    on_step: OnStep,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Third order in the guesses: a parabola through the last three, in log(alpha / sigma) (k-diffusion's 3M SDE)."""
    drawn = path(noise, sigmas)
    known: list[tuple[Tensor, Tensor]] = []
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        if not bool(target):
            return denoised
        h = log_snr(process, target) - log_snr(process, sigma)
        alpha, whole = process.alpha(target), h * (1 + eta)
        x = _kept(h, eta) * (target / sigma) * x - alpha * (-whole).expm1() * denoised
        x = x + alpha * _bent(denoised, known, h, whole)
        if eta:
            x = x + drawn(sigma, target) * target * (-(-2 * eta * h).expm1()).sqrt() * s_noise
        # a step from alpha = 0 has no length in log(alpha / sigma): what lies before it cannot bend later ones
        known = [(denoised, h), *known][:2] if bool(h.isfinite()) else []
    return x


def _bent(denoised: Tensor, known: list[tuple[Tensor, Tensor]], h: Tensor, whole: Tensor) -> Tensor | float:
    """What the last one or two (guess, step length), newest first, add to a step of length h."""
    if not known:
        return 0.0
    bend = (-whole).expm1() / whole + 1
    guess, ratio = known[0][0], known[0][1] / h
    first = (denoised - guess) / ratio
    if len(known) == 1:
        return bend * first
    older = known[1][1] / h
    second = (guess - known[1][0]) / older
    steepness = first + (first - second) * ratio / (ratio + older)
    curvature = (first - second) / (ratio + older)
    return bend * steepness - (bend / whole - 0.5) * curvature


def toward(process: NoiseProcess, x: Tensor, sigma: Tensor, target: Tensor, guess: Tensor) -> Tensor:
    """The exact step from sigma to target if the guess did not change on the way; lands on it at noise level 0."""
    if not bool(target):
        return guess
    h = log_snr(process, target) - log_snr(process, sigma)
    return target / sigma * x - process.alpha(target) * (-h).expm1() * guess


def between(process: NoiseProcess, sigma: Tensor, target: Tensor) -> Tensor:
    """The level halfway in log(alpha / sigma); from alpha = 0, where that has no value, the mean of the two levels."""
    if not bool(process.alpha(sigma)):
        return (sigma + target) / 2
    start = log_snr(process, sigma)
    return process.level(start + 0.5 * (log_snr(process, target) - start))


def _again(process: NoiseProcess, sigma: Tensor) -> Tensor:
    """The level there and back through log(alpha / sigma); from alpha = 0 there is no way back."""
    return process.level(log_snr(process, sigma)) if bool(process.alpha(sigma)) else sigma


def path(noise: PathNoise, sigmas: Tensor) -> StepNoise:
    """The noise of a whole run: Brownian paths over the schedule's levels above 0."""
    return noise.brownian(sigmas[sigmas > 0].min(), sigmas.max())
