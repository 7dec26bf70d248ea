"""Inpainting masks, with A1111's arithmetic: white (255) is what may change. Everything is mode L; sizes may be any.

`generate.inpaint` makes a request's mask with these, in the order: binary, invert, blur, then either `region` and
`expanded` (only the masked part is worked on) or the whole.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

Box: TypeAlias = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are just outside."""

_FILLS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius of the blur, how often it is laid over what is there: from far colours to near ones."""


def binary(mask: Image.Image, *, rounded: bool = True) -> Image.Image:
    """A mask as it comes -> mode L. Where it has transparency that is used, what is opaque is white; rounded: only
    black and white remain of transparency.
    """
    bands = mask.getbands()
    if mask.mode == "PA" or (mask.mode == "P" and "transparency" in mask.info) or bands == ("L", "A"):
        mask = mask.convert("RGBA")
    if mask.mode != "RGBA" or mask.getextrema()[-1] == (255, 255):
        return mask.convert("L")
    alpha = mask.getchannel("A")
    return alpha.point([255 if level > 128 else 0 for level in range(256)]) if rounded else alpha


def inverted(mask: Image.Image) -> Image.Image:
    """Black for white."""
    return ImageOps.invert(mask)


def blurred(mask: Image.Image, x: float, y: float) -> Image.Image:
    """Gaussian blur of so many pixels (standard deviation) along each axis, 0 = none: bit for bit what OpenCV makes of
    8-bit pixels, with A1111's kernel of 2 * int(2.5 * blur + 0.5) + 1 pixels.
    """
    pixels = np.asarray(mask)
    if x > 0 and mask.width > 1:
        pixels = _convolved(pixels, _kernel(x))
    if y > 0 and mask.height > 1:
        pixels = _convolved(pixels.T, _kernel(y)).T
    return Image.fromarray(np.ascontiguousarray(pixels), "L")


def _kernel(blur: float) -> NDArray[np.int64]:
    """Weights in 256ths that sum to 256; what rounding one loses goes to the next, the rest to the middle."""
    half = int(2.5 * blur + 0.5)
    side = [math.exp(-0.5 * (offset / blur) ** 2) for offset in range(-half, 0)]
    total = 2 * sum(side) + 1
    weights, error = [], 0.0
    for value in side:
        exact = value / total * 256 + error
        weights.append(round(exact))
        error = exact - weights[-1]
    return np.array([*weights, 256 - 2 * sum(weights), *reversed(weights)], dtype=np.int64)


def _convolved(pixels: NDArray[np.uint8], kernel: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Along the rows (H, W); beyond the edge the picture is mirrored without repeating the edge pixel."""
    half = len(kernel) // 2
    padded = np.pad(pixels, ((0, 0), (half, half)), mode="reflect").astype(np.int64)
    width = pixels.shape[1]
    total = sum(weight * padded[:, start : start + width] for start, weight in enumerate(kernel.tolist()) if weight)
    return ((np.asarray(total) + 128) >> 8).astype(np.uint8)


def region(mask: Image.Image, padding: int = 0) -> Box | None:
    """The smallest box around everything that is not black, widened by `padding` within the picture; None if all is."""
    box = mask.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    return (
        max(left - padding, 0),
        max(top - padding, 0),
        min(right + padding, mask.width),
        min(bottom + padding, mask.height),
    )


def expanded(box: Box, shape: tuple[int, int], within: tuple[int, int]) -> Box:
    """The box made wider or higher, to the proportions of `shape` (width, height) as far as `within` has room."""
    left, top, right, bottom = box
    width, height, ratio = right - left, bottom - top, shape[0] / shape[1]
    if width / height > ratio:
        top, bottom = _widened(top, bottom, int(width / ratio - height), within[1])
    else:
        left, right = _widened(left, right, int(height * ratio - width), within[0])
    return left, top, right, bottom


def _widened(start: int, end: int, by: int, limit: int) -> tuple[int, int]:
    """start and end moved apart by `by` in all, then back inside 0..limit."""
    start, end = start - by // 2, end + by - by // 2
    if end >= limit:
        start, end = start - (end - limit), limit
    if start < 0:
        start, end = 0, end - start
    return start, min(end, limit)


def filled(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The RGB picture with what the mask covers, of the same size, painted over by colours from around it."""
    kept = Image.new("RGBa", image.size)
    kept.paste(image.convert("RGBA").convert("RGBa"), mask=inverted(mask))
    canvas = Image.new("RGBA", image.size)
    for radius, times in _FILLS:
        layer = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            canvas.alpha_composite(layer)
    return canvas.convert("RGB")
