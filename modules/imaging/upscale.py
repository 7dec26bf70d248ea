"""Enlarging pictures without a model, and the two ways in which models are used: again until large enough, in tiles.

`loading.upscale` gives it networks, `generate` asks for sizes. Arrays are (height, width, channels).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Reals = NDArray[np.float32]

LATENT_MODES: Mapping[str, tuple[str, bool]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""Upscalers that stretch the latents: torch's interpolation mode, and whether it blurs first where it shrinks."""


MOST_PASSES = 3
CONTEXT = 16
"""Pixels around a tile that a network sees and that are cut off again: without them every seam shows."""


def towards(image: Image.Image, scale: float, once: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture `scale` times as large, both sides rounded down to a multiple of 8, as A1111's upscalers make it.

    once: enlarges by a factor of its own; it is applied until the size is reached, at most three times, or until it
    changes the size no more. What is then too large or too small is resized with Lanczos.
    """
    width, height = (int(side * scale // 8 * 8) for side in image.size)
    for number in range(MOST_PASSES):
        reached = image.width >= width and image.height >= height
        if reached and (number > 0 or scale != 1):
            break
        before = image.size
        image = once(image)
        if image.size == before:
            break
    return resized(image, max(width, 1), max(height, 1))


def resized(image: Image.Image, width: int, height: int) -> Image.Image:
    """Exactly this size, with Lanczos where it is another."""
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.LANCZOS)


def by_filter(image: Image.Image, scale: float, filter: Image.Resampling) -> Image.Image:
    """The picture `scale` times as large, sides rounded down, at least one pixel."""
    size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
    return image.resize(size, resample=filter)


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along one side: evenly spread, neighbours share at least `overlap`, as in A1111's grids."""
    if length <= tile:
        return [0]
    count = math.ceil((length - overlap) / (tile - overlap))
    step = (length - tile) / (count - 1)
    return [min(int(index * step), length - tile) for index in range(count - 1)] + [length - tile]


def in_tiles(
    picture: Bytes,
    run: Callable[[Bytes], Reals],
    *,
    scale: int,
    tile: int,
    overlap: int,
    align: int = 1,
    on_tile: Callable[[int, int], None] = lambda done, all: None,
) -> Bytes:
    """Enlarge (H, W, C) with `run`, (h, w, C) -> (h * scale, w * scale, C) in 0..255, a tile at a time.

    tile: side of the square that is kept of each run, 0 = everything at once; overlap: pixels over which neighbours are
    blended. The network sees CONTEXT more on each side, from multiples of `align` on, so that the result is that of
    everything at once but for what it looks at beyond. Memory: one row of tiles as float32. on_tile(done, all) is told
    of every tile; what it raises ends the work.
    """
    height, width = picture.shape[:2]
    side = tile if tile > 0 else max(height, width)
    overlap = min(overlap, side // 2)
    tops, lefts = starts(height, side, overlap), starts(width, side, overlap)
    done, count = itertools.count(1), len(tops) * len(lefts)
    result = np.empty((height * scale, width * scale, picture.shape[2]), np.uint8)
    above, before = np.empty(0, np.float32), 0
    for top in tops:
        rows = slice(top, min(top + side, height))
        strip = np.empty(((rows.stop - top) * scale, *result.shape[1:]), np.float32)
        for left in lefts:
            columns = slice(left, min(left + side, width))
            enlarged = _with_context(picture, run, rows, columns, scale, align)
            _lay(strip, enlarged, left * scale, overlap * scale if left else 0)
            on_tile(next(done), count)
        if top:
            _fade(strip, above[(top - before) * scale :], overlap * scale)
        result[top * scale : rows.stop * scale] = np.rint(np.clip(strip, 0, 255))
        above, before = strip, top
    return result


def _with_context(
    picture: Bytes, run: Callable[[Bytes], Reals], rows: slice, columns: slice, scale: int, align: int
) -> Reals:
    """One tile, enlarged together with what is around it."""
    wide = [_widened(part, length, align) for part, length in zip((rows, columns), picture.shape[:2], strict=True)]
    enlarged = run(np.ascontiguousarray(picture[wide[0], wide[1]]))
    kept = [
        slice((part.start - outer.start) * scale, (part.stop - outer.start) * scale)
        for part, outer in zip((rows, columns), wide, strict=True)
    ]
    return enlarged[kept[0], kept[1]]


def _widened(part: slice, length: int, align: int) -> slice:
    start = max(0, (part.start - CONTEXT) // align * align)
    return slice(start, min(length, -(-(part.stop + CONTEXT) // align) * align))


def _lay(strip: Reals, tile: Reals, left: int, overlap: int) -> None:
    """Put a tile into its row; its first `overlap` columns fade in over what lies there."""
    ramp = _ramp(overlap)[None, :, None]
    strip[:, left : left + overlap] *= 1 - ramp
    strip[:, left : left + overlap] += tile[:, :overlap] * ramp
    strip[:, left + overlap : left + tile.shape[1]] = tile[:, overlap:]


def _fade(strip: Reals, above: Reals, overlap: int) -> None:
    """The first `overlap` rows fade in over the same rows as the tiles above have them."""
    ramp = _ramp(overlap)[:, None, None]
    strip[:overlap] *= ramp
    strip[:overlap] += above[:overlap] * (1 - ramp)


def _ramp(length: int) -> Reals:
    return np.linspace(0, 1, length, endpoint=False, dtype=np.float32)
