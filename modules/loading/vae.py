"""Latents to pictures."""

from __future__ import annotations

import dataclasses
import logging

import torch
from PIL import Image
from torch import Tensor, nn

from modules.loading.families import Latent

log = logging.getLogger(__name__)


@dataclasses.dataclass
class Vae:
    """An AutoencoderKL and the scale of the latent space it serves."""

    network: nn.Module
    latent: Latent

    def decode(self, latent: Tensor) -> Tensor:
        """One latent (C, H, W) -> pixels (3, 8H, 8W), float32 in 0..1.

        A VAE that overflows in half precision is moved to float32 for good, and the picture decoded again.
        """
        pixels = self._decode(latent)
        if not torch.isfinite(pixels).all() and self._dtype() in (torch.float16, torch.bfloat16):
            log.warning("The VAE overflowed in %s and runs in float32 from now on.", self._dtype())
            self.network.to(torch.float32)
            pixels = self._decode(latent)
        return ((pixels + 1) / 2).clamp(0, 1)

    def _decode(self, latent: Tensor) -> Tensor:
        raw = (latent.to(self._dtype()) / self.latent.scale + self.latent.shift).unsqueeze(0)
        pixels: Tensor = self.network.decode(raw, return_dict=False)[0]  # type: ignore[operator]
        return pixels[0].float()

    def _dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype


def to_image(pixels: Tensor) -> Image.Image:
    """pixels (3, H, W) in 0..1 -> an RGB picture. Truncated, not rounded, to 8 bits: A1111 does so."""
    levels = (pixels * 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    return Image.fromarray(levels.cpu().numpy(), "RGB")
