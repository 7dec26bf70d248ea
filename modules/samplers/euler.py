"""Euler's method for the probability-flow ODE, with optional churn, and its ancestral variant."""

from __future__ import annotations

import itertools
import math

from torch import Tensor

from modules.core.process import NoiseProcess
from modules.core.types import Denoiser, Noise, OnStep

MOST_CHURN = math.sqrt(2) - 1


def slope(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability-flow ODE; the same formula for alpha = 1 and alpha = 1 - sigma."""
    return (x - denoised) / sigma


def churned(x: Tensor, sigma: Tensor, gamma: float, *, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Raise the noise level by the factor 1 + gamma (Karras et al. 2022, algorithm 2): -> (x, sigma) to step from.

    The noise is drawn whether it is used or not, as k-diffusion does, so that later draws stay the same.
    """
    raised = sigma * (gamma + 1)
    return (x + noise * (raised**2 - sigma**2) ** 0.5 if gamma > 0 else x), raised


def euler(
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
    """Algorithm 2 of Karras et al. 2022 with Euler steps. x (B, C, H, W), sigmas (steps + 1,) falling to 0."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        start, level = x, sigma
        if s_churn > 0:
            gamma = min(s_churn / (len(sigmas) - 1), MOST_CHURN) if s_tmin <= float(sigma) <= s_tmax else 0.0
            start, level = churned(x, sigma, gamma, noise=noise() * s_noise)
        denoised = denoise(start, level)
        on_step(step, start, sigma, denoised)
        x = start + slope(start, level, denoised) * (target - level)
    return x


def euler_ancestral(
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
    """Euler steps below each target level, then fresh noise up to it. eta 0 (no noise) .. 1 (ancestral sampling)."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        down, scale, up = process.split(sigma, target, eta)
        x = x + slope(x, sigma, denoised) * (down - sigma)
        if bool(target):
            x = scale * x + noise() * s_noise * up
    return x
