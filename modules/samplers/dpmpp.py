"""DPM-Solver++ (Lu et al. 2022, https://arxiv.org/abs/2211.01095), data prediction, in alpha-sigma form."""

from __future__ import annotations

from torch import Tensor

from modules.core.process import NoiseProcess, log_snr
from modules.core.types import Denoiser, Noise, OnStep


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
