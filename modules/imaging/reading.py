"""Bytes from a stranger to a picture: whatever Pillow reads, upright, in one of four plain modes, or a clear refusal.

The API, the page and jobs read every picture here.
"""

from __future__ import annotations

import functools
import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from modules.core.errors import BadRequest

MOST_PIXELS = 128 * 2**20
"""16384 x 8192: what is larger is refused before any pixel is decoded."""

_NEVER = frozenset({"EPS", "WMF", "GRIB", "BUFR", "HDF5", "MPEG", "FITS", "IPTC"})
"""Formats that are not pictures of pixels: Pillow would start other programs for them, or nothing at all."""

_PLAIN = ("L", "LA", "RGB", "RGBA")
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, OverflowError, TypeError, AttributeError)
"""What Pillow's plugins raise for damaged files."""


def read_picture(data: bytes, *, field: str) -> Image.Image:
    """The picture in a file's bytes: its first frame, turned as EXIF says, mode L, LA, RGB or RGBA; `info` is kept.

    CMYK, palettes, 16-bit and floating-point greys are converted. Raises BadRequest(field) that says what is wrong: no
    picture, damaged, or more than `MOST_PIXELS`.
    """
    if not data:
        raise BadRequest(f"{field}: there is no picture in it.", field=field)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_formats())
        _check_size(image, field)
        image.seek(0)
        image.load()
        return plain(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise BadRequest(f"{field}: this is not a picture in a known format, or it is damaged.", field=field) from error
    except Image.DecompressionBombError as error:
        raise BadRequest(f"{field}: the picture has too many pixels: {error}", field=field) from error
    except _DAMAGE as error:
        raise BadRequest(f"{field}: the picture is damaged: {error}", field=field) from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """All that Pillow and its plugins know, but for a few."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _NEVER)


def _check_size(image: Image.Image, field: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise BadRequest(f"{field}: the picture has no pixels ({width}x{height}).", field=field)
    if width * height > MOST_PIXELS:
        raise BadRequest(
            f"{field}: {width}x{height} is too large a picture; {MOST_PIXELS // 2**20} million pixels are the most.",
            field=field,
        )


def plain(image: Image.Image) -> Image.Image:
    """The same picture in mode L, LA, RGB or RGBA, 8 bits a channel."""
    if image.mode in _PLAIN:
        return image
    info = dict(image.info)
    converted = _converted(image)
    converted.info = info
    return converted


def _converted(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _grey(image)
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """16-bit pixels by their upper byte; of 32-bit and floating-point ones the scale is told from their values."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65535):
        scaled = values // 257
    elif image.mode == "F" and low >= 0 and high <= 1:
        scaled = values * 255
    elif low >= 0 and high <= 255:
        scaled = values
    else:
        scaled = (values - low) / (high - low) * 255
    return Image.fromarray(scaled.astype(np.uint8), "L")
