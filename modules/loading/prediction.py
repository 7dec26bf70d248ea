"""From what a network predicts to a denoiser: the network's clock and scaling live here, samplers never see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from modules.core.process import TrainedLevels

Network: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (B, C, H, W), time (B,), context (B, tokens, width)) -> prediction (B, C, H, W)."""

Predict: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (B, C, H, W), sigma (), context (B, tokens, width)) -> denoised (B, C, H, W)."""


def denoised_from_eps(network: Network, levels: TrainedLevels, *, whole_times: bool = False) -> Predict:
    """For networks trained to predict the noise (DDPM, Ho et al. 2020, eq. 14), asked in sigma coordinates.

    denoised = x - sigma * eps(x / sqrt(sigma^2 + 1), t(sigma)). The sum is done in x's own precision. whole_times: ask
    only at times that the network was trained at.
    """

    def predict(x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        time = levels.time_at(sigma, whole=whole_times).to(x.device).expand(x.shape[0])
        eps = network(x * (1 / (sigma**2 + 1) ** 0.5), time, context)
        return x - eps.to(x.dtype) * sigma

    return predict
