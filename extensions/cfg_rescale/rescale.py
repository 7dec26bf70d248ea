"""Rescaled guidance: what is guided gets the spread that the answer to the prompt alone has, in part.

Lin et al. 2023, https://arxiv.org/abs/2305.08891, section 3.4, eqs. 15 and 16: the spread is that of the velocity.
"""

from __future__ import annotations

from torch import Tensor

from modules.generate.moments import Guided, Sampling


class Rescale:
    """The listeners of one job; phi 0..1: how much of the rescaled answer is mixed in."""

    def __init__(self, phi: float) -> None:
        self._phi = phi
        self._flow = False

    def sampling(self, event: Sampling) -> None:
        self._flow = event.model.prediction == "flow"

    def guided(self, event: Guided) -> None:
        if event.negative is None:
            return
        positive = velocity(event.x, event.positive, event.sigma, flow=self._flow)
        guided = velocity(event.x, event.denoised, event.sigma, flow=self._flow)
        event.denoised = denoised(event.x, rescaled(guided, positive, self._phi), event.sigma, flow=self._flow)


def rescaled(guided: Tensor, positive: Tensor, phi: float) -> Tensor:
    """Both (B, C, H, W) -> guided with, for phi 1, the standard deviation of positive, each picture by itself."""
    spread = positive.std(dim=(1, 2, 3), keepdim=True) / guided.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-8)
    return guided * (phi * spread + (1 - phi))


def velocity(x: Tensor, clean: Tensor, sigma: Tensor, *, flow: bool) -> Tensor:
    """What a network that predicts velocity says where the clean latent is guessed so; sigma () above 0."""
    if flow:
        return (x - clean) / sigma
    return (x / (sigma**2 + 1) - clean) * (sigma**2 + 1) ** 0.5 / sigma


def denoised(x: Tensor, velocity: Tensor, sigma: Tensor, *, flow: bool) -> Tensor:
    """The inverse of `velocity`."""
    if flow:
        return x - velocity * sigma
    return x / (sigma**2 + 1) - velocity * sigma / (sigma**2 + 1) ** 0.5
