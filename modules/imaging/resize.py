"""A picture of one size made into one of another, as A1111's resize modes do it. img2img, masks and Extras call it."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from PIL import Image

from modules.core.errors import BadRequest

Upscale: TypeAlias = Callable[[Image.Image, float], Image.Image]
"""(an RGB picture, factor above 1) -> a picture about that much larger; the option `upscaler_for_img2img` names one."""


class Mode(IntEnum):
    """What happens to a picture of another shape; numbers are those of A1111's API."""

    STRETCH = 0
    CROP = 1
    FILL = 2
    LATENT = 3
    """The latent is stretched instead of the picture; what has no latent is stretched itself."""


def mode(number: int, *, field: str = "resize_mode") -> Mode:
    """Raises BadRequest naming the modes that there are."""
    try:
        return Mode(number)
    except ValueError as error:
        known = "0 (stretch), 1 (crop), 2 (fill) or 3 (stretch the latent)"
        raise BadRequest(f"{field} must be {known}, not {number}.", field=field) from error


def resize(
    image: Image.Image, size: tuple[int, int], how: Mode = Mode.STRETCH, *, upscale: Upscale | None = None
) -> Image.Image:
    """The picture, mode L or RGB (RGBA loses its transparency), at exactly size (width, height), each at least 1.

    upscale is asked where an RGB picture has to grow; what it leaves to do is done by Lanczos' filter.
    """
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if how in (Mode.STRETCH, Mode.LATENT):
        return _stretched(image, size, upscale)
    inner = _scaled_size(image.size, size, covers=how is Mode.CROP)
    scaled = _stretched(image, inner, upscale)
    left, top = (whole // 2 - part // 2 for whole, part in zip(size, inner, strict=True))
    canvas = Image.new(image.mode, size)
    canvas.paste(scaled, (left, top))
    if how is Mode.FILL:
        _fill_border(canvas, scaled, left, top)
    return canvas


def _stretched(image: Image.Image, size: tuple[int, int], upscale: Upscale | None) -> Image.Image:
    factor = max(size[0] / image.width, size[1] / image.height)
    if upscale is not None and factor > 1 and image.mode == "RGB":
        image = upscale(image, factor)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _scaled_size(have: tuple[int, int], want: tuple[int, int], *, covers: bool) -> tuple[int, int]:
    """The size in `have`'s proportions that just covers `want`, or that just fits into it."""
    wider = want[0] * have[1] > have[0] * want[1]
    if wider == covers:
        return want[0], max(1, have[1] * want[0] // have[0])
    return max(1, have[0] * want[1] // have[1]), want[1]


def _fill_border(canvas: Image.Image, scaled: Image.Image, left: int, top: int) -> None:
    """Pull the picture's edges outwards over what it leaves free."""
    width, height = canvas.size
    right, bottom = left + scaled.width, top + scaled.height
    if top > 0:
        canvas.paste(scaled.resize((width, top), box=(0, 0, scaled.width, 0)), (0, 0))
    if bottom < height:
        edge = (0, scaled.height, scaled.width, scaled.height)
        canvas.paste(scaled.resize((width, height - bottom), box=edge), (0, bottom))
    if left > 0:
        canvas.paste(scaled.resize((left, height), box=(0, 0, 0, scaled.height)), (0, 0))
    if right < width:
        edge = (scaled.width, 0, scaled.width, scaled.height)
        canvas.paste(scaled.resize((width - right, height), box=edge), (right, 0))
