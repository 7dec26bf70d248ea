"""Restart sampling: go back up to a higher noise level and down again (Xu et al. 2023,
https://arxiv.org/abs/2306.14878).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from modules.core.process import NoiseProcess
from modules.core.types import Denoiser, Noise, OnStep
from modules.samplers import schedules
from modules.samplers.heun import heun_step

LOW, HIGH = 0.1, 2.0
"""Noise levels between which sampling restarts, as near as the schedule has them."""


def restart(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    s_noise: float = 1.0,
) -> Tensor:
    """Heun steps along `route(sigmas)`; where it rises, noise is added. x (B, C, H, W), sigmas (steps + 1,)."""
    reached: Tensor | None = None
    for step, (sigma, target) in enumerate(route(sigmas)):
        if reached is not None and bool(sigma > reached):
            scale = process.alpha(sigma) / process.alpha(reached)
            x = scale * x + noise() * s_noise * (sigma**2 - (scale * reached) ** 2) ** 0.5
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        x = heun_step(denoise, x, sigma, target, denoised)
        reached = target
    return x


def route(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The steps (from, to) in order: with 20 steps or more some of them are spent on restarts, then along a Karras
    schedule over the same range; with fewer the given levels are gone through once.
    """
    steps = len(sigmas) - 1
    if steps < 20:
        return list(itertools.pairwise(sigmas))
    again, times = (steps // 4, 2) if steps >= 36 else (9, 1)
    levels = schedules.karras(steps - again * times, sigma_min=float(sigmas[-2]), sigma_max=float(sigmas[0]))
    levels = levels.to(sigmas)
    bottom, top = (int(torch.argmin((levels - level).abs())) for level in (LOW, HIGH))
    once = list(itertools.pairwise(levels))
    if top >= bottom:
        return once
    loop = schedules.karras(again + 1, sigma_min=float(levels[bottom]), sigma_max=float(levels[top]))[:-1].to(sigmas)
    return [*once[:bottom], *(list(itertools.pairwise(loop)) * times), *once[bottom:]]
