"""Linear multistep (Adams-Bashforth on uneven steps): one model call a step, up to fourth order."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from modules.core.process import NoiseProcess
from modules.core.types import Denoiser, Noise, OnStep
from modules.samplers.euler import slope


def lms(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    order: int = 4,
) -> Tensor:
    """Extrapolate dx/dsigma by a polynomial through the last `order` slopes and integrate it over the step."""
    points = sigmas.double().tolist()
    slopes: list[Tensor] = []
    for step, (sigma, _) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        slopes = [slope(x, sigma, denoised), *slopes][:order]
        weights = weights_of(points[step::-1][: len(slopes)], points[step], points[step + 1])
        x = x + torch.stack([weight * each for weight, each in zip(weights, slopes, strict=True)]).sum(0)
    return x


def weights_of(nodes: list[float], start: float, end: float) -> list[float]:
    """The integrals from start to end of the Lagrange polynomials through `nodes` (all different), exactly."""
    weights = []
    for own in nodes:
        polynomial = np.polynomial.Polynomial([1.0])
        for other in nodes:
            if other != own:
                # counted from `start`, so that the numbers stay small and no digits are lost
                polynomial = polynomial * np.polynomial.Polynomial([start - other, 1.0]) / (own - other)
        whole = polynomial.integ()
        weights.append(float(whole(end - start) - whole(0.0)))
    return weights
