"""DDIM (Song et al. 2020, https://arxiv.org/abs/2010.02502) and what grew from it: CFG++, PLMS, DDPM.

All are written in the coordinates x = alpha x0 + sigma noise of the process; with `schedules.ddim_times` they visit the
levels of latent diffusion's samplers.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from modules.core.process import NoiseProcess
from modules.core.types import Denoiser, GuidedDenoise, Noise, OnStep


def seen(process: NoiseProcess, x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """The noise in x (B, C, H, W) at level sigma (), given the clean latent."""
    return (x - process.alpha(sigma) * denoised) / sigma


def fresh(process: NoiseProcess, sigma: Tensor, target: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """DDIM, eq. 12 and 16: (weight of the old noise, weight of fresh noise) at the target level; eta 1 is DDPM."""
    old, new = (level / process.alpha(level) for level in (sigma, target))
    drawn = eta * new * (1 - (new / old) ** 2).clamp(min=0) ** 0.5
    drawn = torch.minimum(drawn, new)
    alpha = process.alpha(target)
    return alpha * (new**2 - drawn**2) ** 0.5, alpha * drawn


def ddim(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    eta: float = 0.0,
) -> Tensor:
    """DDIM, eq. 12. x (B, C, H, W), sigmas (steps + 1,) falling. eta 0 (deterministic) .. 1 (DDPM)."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        kept, drawn = fresh(process, sigma, target, eta)
        x = process.alpha(target) * denoised + kept * seen(process, x, sigma, denoised)
        if eta:
            x = x + drawn * noise()
    return x


def ddim_cfgpp(
    denoise: GuidedDenoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    eta: float = 0.0,
) -> Tensor:
    """CFG++ (Chung et al. 2024, https://arxiv.org/abs/2406.08070, algorithm 2): the guided guess, but the noise that is
    seen without the prompt. Its guidance scale is 0..1.
    """
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        kept, drawn = fresh(process, sigma, target, eta)
        x = process.alpha(target) * denoised + kept * seen(process, x, sigma, _unguided(denoise, denoised))
        if eta:
            x = x + drawn * noise()
    return x


def _unguided(denoise: GuidedDenoise, denoised: Tensor) -> Tensor:
    """The newest guess without the prompt; where that was left out, the one with it."""
    for guess in (denoise.negative, denoise.positive):
        if guess is not None:
            return guess
    return denoised


def ddpm(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, process: NoiseProcess, noise: Noise, on_step: OnStep
) -> Tensor:
    """Ancestral sampling as DDPM has it (Ho et al. 2020, algorithm 2, the smaller variance): DDIM with eta 1."""
    return ddim(denoise, x, sigmas, process=process, noise=noise, on_step=on_step, eta=1.0)


_ADAMS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Weights of Adams-Bashforth over equal steps, newest first."""


def plms(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, process: NoiseProcess, noise: Noise, on_step: OnStep
) -> Tensor:
    """Pseudo linear multistep (Liu et al. 2022, https://arxiv.org/abs/2202.09778): DDIM steps with noise extrapolated
    from the last four; the first step looks ahead with one more model call.
    """
    known: list[Tensor] = []
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        known = [seen(process, x, sigma, denoised), *known][:4]
        eps = torch.stack([weight * each for weight, each in zip(_ADAMS[len(known) - 1], known, strict=True)]).sum(0)
        if len(known) == 1 and bool(target):
            ahead = _moved(process, x, sigma, target, eps)
            eps = (eps + seen(process, ahead, target, denoise(ahead, target))) / 2
        x = _moved(process, x, sigma, target, eps)
    return x


def _moved(process: NoiseProcess, x: Tensor, sigma: Tensor, target: Tensor, eps: Tensor) -> Tensor:
    """DDIM's step (eq. 13) with this noise in x."""
    return process.alpha(target) / process.alpha(sigma) * (x - sigma * eps) + target * eps
