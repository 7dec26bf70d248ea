"""What some preprocessors do beyond steering: the untouched rest comes back, a grey picture keeps its brightness."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modules.imaging import colour

from .maps import Pixels
from .pictures import Map
from .preprocessors import Preprocessor

SOFT = 7
"""Pixels by which inpaint_only widens its mask and blurs its edge."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """latents (1, C, H, W) of the picture, mask (1, 1, H, W): 1 = may change."""

    latents: Tensor
    mask: Tensor

    @classmethod
    def of(cls, made: Map, latents: Tensor) -> Restored | None:
        """None where the map has no mask."""
        if made.pixels.shape[2] != 4:
            return None
        mask = torch.from_numpy(np.array(made.pixels[..., 3])).float()[None, None] / 255
        factor = mask.shape[-1] // latents.shape[-1]
        mask = functional.max_pool2d(mask, factor + 2, stride=factor, padding=1)
        return cls(latents, mask.to(latents))

    def put_back(self, guess: Tensor, weight: float) -> Tensor:
        """A guess of the clean latents (B, C, H, W) with the picture's own outside the mask, as far as 0..1 says."""
        share = min(max(weight, 0.0), 1.0)
        if not share:
            return guess
        kept = guess * self.mask + self.latents.to(guess) * (1 - self.mask)
        return kept * share + guess * (1 - share)


def finished(picture: Tensor, way: Preprocessor, made: Map | None) -> Tensor:
    """A decoded picture (3, H, W) in 0..1 -> with what its preprocessor wants to come back."""
    if made is None:
        return picture
    if way.name == "inpaint_only" and made.pixels.shape[2] == 4:
        return _laid_over(picture, made.pixels)
    if way.name in ("recolor_luminance", "recolor_intensity"):
        levels = (picture.permute(1, 2, 0).cpu().numpy() * 255).clip(0, 255).astype(np.uint8)
        own = made.pixels[..., 0]
        coloured = _lit(levels, own) if way.name == "recolor_luminance" else _valued(levels, own)
        return torch.from_numpy(coloured.astype(np.float32) / 255).permute(2, 0, 1).to(picture)
    return picture


def _laid_over(picture: Tensor, pixels: Pixels) -> Tensor:
    from scipy import ndimage

    wide = ndimage.grey_dilation(pixels[..., 3].astype(np.float32) / 255, size=(SOFT, SOFT))
    mask = torch.from_numpy(ndimage.uniform_filter(wide, SOFT, mode="mirror")).to(picture)
    own = torch.from_numpy(pixels[..., :3].astype(np.float32) / 255).permute(2, 0, 1).to(picture)
    return (mask * picture.clip(0, 1) + (1 - mask) * own).clip(0, 1)


def _lit(levels: Pixels, lightness: Pixels) -> Pixels:
    """With this L of L*a*b*."""
    lab = colour.to_lab(levels)
    lab[..., 0] = lightness
    return colour.to_rgb(lab)


def _valued(levels: Pixels, value: Pixels) -> Pixels:
    """With this value of HSV: colours scaled so that the strongest channel has it."""
    strongest = levels.max(axis=2, keepdims=True).astype(np.float32)
    scaled = np.where(strongest > 0, levels / np.maximum(strongest, 1), 1.0) * value[..., None]
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
