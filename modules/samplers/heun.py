"""Two model calls a step for second order: Heun's method and the midpoint method in log sigma, both with churn."""

from __future__ import annotations

import itertools
import math

from torch import Tensor

from modules.core.process import NoiseProcess
from modules.core.types import Denoiser, Noise, OnStep
from modules.samplers.euler import MOST_CHURN, churned, slope


def heun_step(denoise: Denoiser, x: Tensor, level: Tensor, target: Tensor, denoised: Tensor) -> Tensor:
    """One step of Heun's method from `level`, where the guess is known; of Euler's to noise level 0."""
    first = slope(x, level, denoised)
    ahead = x + first * (target - level)
    if not bool(target):
        return ahead
    second = slope(ahead, target, denoise(ahead, target))
    return x + (first + second) / 2 * (target - level)


def midpoint_step(denoise: Denoiser, x: Tensor, level: Tensor, target: Tensor, denoised: Tensor) -> Tensor:
    """One step with the slope of the geometric middle of the two levels; of Euler's to noise level 0."""
    first = slope(x, level, denoised)
    if not bool(target):
        return x + first * (target - level)
    middle = level.log().lerp(target.log(), 0.5).exp()
    halfway = x + first * (middle - level)
    return x + slope(halfway, middle, denoise(halfway, middle)) * (target - level)


def gamma(sigma: Tensor, steps: int, *, s_churn: float, s_tmin: float, s_tmax: float) -> float:
    """By which share churn raises the noise level sigma () (Karras et al. 2022, algorithm 2)."""
    return min(s_churn / steps, MOST_CHURN) if s_tmin <= float(sigma) <= s_tmax else 0.0


def heun(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Algorithm 2 of Karras et al. 2022. x (B, C, H, W), sigmas (steps + 1,) falling to 0."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        level = sigma
        if s_churn > 0:
            raised = gamma(sigma, len(sigmas) - 1, s_churn=s_churn, s_tmin=s_tmin, s_tmax=s_tmax)
            x, level = churned(x, sigma, raised, noise=noise() * s_noise)
        denoised = denoise(x, level)
        on_step(step, x, sigma, denoised)
        x = heun_step(denoise, x, level, target, denoised)
    return x


def dpm_2(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Midpoint steps in log sigma (after DPM-Solver-2, Lu et al. 2022) in the frame of Karras' algorithm 2."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        level = sigma
        if s_churn > 0:
            raised = gamma(sigma, len(sigmas) - 1, s_churn=s_churn, s_tmin=s_tmin, s_tmax=s_tmax)
            x, level = churned(x, sigma, raised, noise=noise() * s_noise)
        denoised = denoise(x, level)
        on_step(step, x, sigma, denoised)
        x = midpoint_step(denoise, x, level, target, denoised)
    return x


def dpm_2_ancestral(
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
    """Midpoint steps below each target level, then fresh noise up to it. eta 0 (none) .. 1 (ancestral sampling)."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        down, scale, up = process.split(sigma, target, eta)
        x = midpoint_step(denoise, x, sigma, down, denoised)
        if bool(down):
            x = scale * x + noise() * s_noise * up
    return x
