"""Few-step sampling of distilled models: jump to the guess, add noise, again (Luo et al. 2023,
https://arxiv.org/abs/2310.04378, algorithm 3).
"""

from __future__ import annotations

import itertools

from torch import Tensor

from modules.core.process import NoiseProcess
from modules.core.types import Denoiser, Noise, OnStep


def lcm(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, process: NoiseProcess, noise: Noise, on_step: OnStep
) -> Tensor:
    """Multistep consistency sampling. x (B, C, H, W), sigmas (steps + 1,) falling to 0."""
    for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        x = denoised
        if bool(target):
            x = process.alpha(target) * denoised + target * noise()
    return x
