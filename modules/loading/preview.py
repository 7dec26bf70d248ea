"""A quick look at an unfinished latent: a linear map from latent channels to RGB, a pixel for a latent pixel."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from modules.loading.families import Latent


def linear(latent: Tensor, facts: Latent) -> Image.Image:
    """latent (C, H, W) -> an RGB picture of (W, H); 1/8 of the final size, made in well under a millisecond."""
    weights = torch.tensor(facts.preview, dtype=torch.float32)
    colours = torch.einsum("chw,cr->hwr", latent.detach().float().cpu(), weights)
    pixels = ((colours + torch.tensor(facts.preview_base) + 1) / 2).clamp(0, 1) * 255
    return Image.fromarray(pixels.to(torch.uint8).numpy(), "RGB")
