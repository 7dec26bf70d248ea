"""Soft inpainting: a mask's shades of grey say how much may change, while sampling and when the rest is laid over.

A1111's built-in extension of that name (by CodeHatchling). `begin` makes the listeners of one job.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from modules.generate.moments import MaskBlending, Overlaying, Planning, Sampled
from modules.generate.plan import Plan
from modules.generate.request import Generation, Img2Img
from modules.generate.studio import Studio
from modules.imaging import masks
from modules.imaging.histogram import gaussian_kernel, weighted_mean
from modules.imaging.overlay import Overlay, flattened
from modules.imaging.resize import Mode, mode, resize

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Soft:
    """bias: shifts keeping to early (above 1) or late steps; strength: how much partly masked parts keep; boost: of
    the contrast that mixing loses, 1 = none; influence 0..1: of the mask on the last mixing; threshold: of difference
    at which half of the old pixels go; contrast: how sudden that is.
    """

    bias: float = 1
    strength: float = 0.5
    boost: float = 4
    influence: float = 0
    threshold: float = 0.5
    contrast: float = 2


def begin(values: Mapping[str, Any], studio: Studio, request: Generation) -> object | None:
    """The listeners of a job; None where there is no mask."""
    if not isinstance(request, Img2Img) or request.mask is None:
        return None
    numbers = {name: value for name, value in values.items() if name != "enabled"}
    return Softly(studio, Soft(**numbers))


class Softly:
    """The listeners of one job."""

    def __init__(self, studio: Studio, soft: Soft) -> None:
        self._studio = studio
        self._soft = soft
        self._picture: Tensor | None = None
        self._mask: Tensor | None = None
        self._shown: list[Image.Image] = []

    def planning(self, event: Planning) -> None:
        if isinstance(event.request, Img2Img):
            event.request = dataclasses.replace(event.request, mask_round=False)

    def mask_blending(self, event: MaskBlending) -> None:
        self._picture, self._mask = event.picture, event.mask
        if event.sigma is None:  # the end: pixels are mixed instead
            event.blended = event.current
            return
        share = event.mask ** (event.sigma**self._soft.bias * self._soft.strength)
        event.blended = blended(event.picture, event.current, share, boost=self._soft.boost)

    def sampled(self, event: Sampled) -> None:
        """How much of the old picture each picture of the batch shows: little where much has changed."""
        if self._picture is None or self._mask is None:
            return
        changed = torch.linalg.vector_norm(event.latents - self._picture, dim=1).float().cpu().numpy()
        mask = self._mask[:, 0].float().clamp(0, 1).cpu().numpy()
        size = (event.plan.width, event.plan.height)
        self._shown = [
            _mask_of(changes(distance, mask[number % len(mask)], self._soft), size)
            for number, distance in enumerate(changed)
        ]

    def overlaying(self, event: Overlaying) -> None:
        request = event.plan.request
        if not self._shown or not isinstance(request, Img2Img):
            return
        place = event.index % request.batch_size
        box = event.overlay.place if event.overlay is not None else None
        picture = self._given(event.plan, request, place, sized=box is None)
        mask = self._shown[place % len(self._shown)]
        if box is not None:
            mask = Overlay(image=picture.convert("RGBA"), mask=mask, place=box).spread(mask).convert("L")
        kept = Image.new("RGBa", picture.size)
        kept.paste(picture.convert("RGBA").convert("RGBa"), mask=masks.inverted(mask))
        event.overlay = Overlay(image=kept.convert("RGBA"), mask=mask, place=box)

    def _given(self, work: Plan, request: Img2Img, place: int, *, sized: bool) -> Image.Image:
        """The picture that is inpainted, as it lies over the result."""
        name = request.init_images[place % len(request.init_images)]
        picture = flattened(
            self._studio.inputs.open(name, field="init_images"), work.options["img2img_background_color"]
        )
        return resize(picture, (work.width, work.height), mode(request.resize_mode)) if sized else picture


def blended(old: Tensor, new: Tensor, share: Tensor, *, boost: float) -> Tensor:
    """old, new (B, C, H, W), share (1 or B, 1, H, W) of the new one, 0..1 -> their mixture (B, C, H, W).

    Vectors of channels that point elsewhere cancel out in a mixture: its length is made the power mean of theirs, of
    the order `boost`, in double precision (MPS: single).
    """
    mixed = old * (1 - share) + new * share
    wide = torch.float32 if mixed.device.type == "mps" else torch.float64

    def length(latents: Tensor) -> Tensor:
        found: Tensor = torch.linalg.vector_norm(latents, dim=1, keepdim=True).to(wide)
        return found

    wanted = (length(old) ** boost * (1 - share) + length(new) ** boost * share) ** (1 / boost)
    factor: Tensor = wanted / (length(mixed) + 0.00001)
    return mixed * factor.to(mixed.dtype)


def changes(distance: NDArray[np.float32], mask: NDArray[np.float32], soft: Soft) -> Floats:
    """distance (H, W) between old and new latents, mask (H, W) 1 = may change -> (H, W), 0 old .. 1 new pixels."""
    kernel = gaussian_kernel(deviation=1.5, radius=2)
    smooth = weighted_mean(distance, kernel, between=(0.9, 1.0)).astype(np.float32)
    smooth = weighted_mean(smooth, kernel, between=(0.25, 0.75)).astype(np.float32)
    keeps = 0.5 * (1 - soft.influence) + (1 - mask ** (soft.strength / 2)) * soft.influence
    half = soft.threshold * (keeps / (1.00001 - keeps))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        old = 1 / (1 + np.nan_to_num(smooth / half, nan=0.0) ** soft.contrast)
    result: Floats = 1 - old**3 * (old * (6 * old - 15) + 10)  # Perlin's smoother step
    return result


def _mask_of(shares: Floats, size: tuple[int, int]) -> Image.Image:
    """Mode L of `size` (width, height), blurred against jagged edges."""
    small = Image.fromarray((255.0 * shares).astype(np.uint8))
    return resize(small, size, Mode.FILL).convert("L").filter(ImageFilter.GaussianBlur(radius=4))
