"""Pictures whose size is no multiple of 64, as A1111 makes them.

Halving an odd latent rounds up, so doubling it again gives a row too many for the skip connection. diffusers upsamples
straight to the wanted size and then convolves; the original UNet, as A1111 runs it, doubles, convolves, and then takes
the nearest cells of the result. The pictures differ, so we do as A1111 does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


class FittedUpsample(Upsample2D):  # type: ignore[misc]
    """Double, convolve, then fit to output_size (height, width) if that differs. (B, C, H, W) -> (B, C', h, w)."""

    def forward(self, hidden_states: Tensor, output_size: tuple[int, int] | None = None) -> Tensor:
        doubled: Tensor = super().forward(hidden_states)
        if output_size is None or tuple(doubled.shape[-2:]) == tuple(output_size):
            return doubled
        return functional.interpolate(doubled, size=tuple(output_size), mode="nearest")


def fit(unet: UNet2DConditionModel) -> None:
    """Swap the upsamplers of a UNet that has no weights yet; their names stay."""
    for block in unet.up_blocks:
        if block.upsamplers is None:
            continue
        with torch.device("meta"):
            fitted = [
                FittedUpsample(each.channels, use_conv=True, out_channels=each.out_channels)
                for each in block.upsamplers
            ]
        block.upsamplers = nn.ModuleList(fitted)
