"""A picture cut into overlapping tiles, and tiles joined again with soft seams; SD upscale and outpainting work so."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from modules.core.errors import BadRequest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiling:
    """Where tiles of `tile` (width, height) lie in a picture of `size`; lefts and tops in pixels, row by row.

    Neighbours overlap by at least `overlap` pixels, in whose first part one fades into the other.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    overlap: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lefts) * len(self.tops)

    def boxes(self) -> Iterator[tuple[int, int, int, int]]:
        """(left, top, right, bottom) of each tile, row by row."""
        width, height = self.tile
        return ((left, top, left + width, top + height) for top in self.tops for left in self.lefts)

    def cut(self, image: Image.Image) -> list[Image.Image]:
        """The tiles, row by row; where the picture is smaller than a tile, black around it."""
        return [image.crop(box) for box in self.boxes()]

    def join(self, tiles: Sequence[Image.Image]) -> Image.Image:
        """The picture of these tiles, mode RGB: each row from left to right, then the rows from top to bottom."""
        width = self.size[0]
        result = Image.new("RGB", self.size)
        for row, top in enumerate(self.tops):
            line = Image.new("RGB", (width, self.tile[1]))
            for column, left in enumerate(self.lefts):
                _lay(line, tiles[row * len(self.lefts) + column], left, self.overlap, along_x=True)
            _lay(result, line, top, self.overlap, along_x=False)
        return result


def tiling(size: tuple[int, int], *, tile: tuple[int, int], overlap: int) -> Tiling:
    """As few tiles as cover `size`, evenly spread. Raises BadRequest for an overlap that leaves nothing of a tile."""
    if not 0 <= overlap < min(tile):
        message = f"script_args: the tile overlap must be 0 to {min(tile) - 1} for tiles of {tile[0]} x {tile[1]}."
        raise BadRequest(message, field="script_args")
    lefts, tops = (_starts(length, part, overlap) for length, part in zip(size, tile, strict=True))
    return Tiling(size=size, tile=tile, overlap=overlap, lefts=lefts, tops=tops)


def _starts(length: int, part: int, overlap: int) -> tuple[int, ...]:
    count = max(1, math.ceil((length - overlap) / (part - overlap)))
    apart = (length - part) / (count - 1) if count > 1 else 0.0
    starts = [int(number * apart) for number in range(count)]
    starts[-1] = length - part  # A1111 may miss it by one for rounding, which leaves a black line
    return tuple(starts)


def _lay(canvas: Image.Image, piece: Image.Image, start: int, overlap: int, *, along_x: bool) -> None:
    """Put a piece on the canvas at `start` along one axis; unless it is the first, its beginning fades in."""
    if start == 0:
        canvas.paste(piece, (0, 0))
        return
    width, height = piece.size
    head = (0, 0, overlap, height) if along_x else (0, 0, width, overlap)
    tail = (overlap, 0, width, height) if along_x else (0, overlap, width, height)
    at, behind = ((start, 0), (start + overlap, 0)) if along_x else ((0, start), (0, start + overlap))
    if overlap:
        canvas.paste(piece.crop(head), at, mask=_fade(piece.size, overlap, along_x=along_x))
    canvas.paste(piece.crop(tail), behind)


def _fade(size: tuple[int, int], overlap: int, *, along_x: bool) -> Image.Image:
    """A mask that rises from 0 over `overlap` pixels, whole levels cut off as A1111 does."""
    levels = (np.arange(overlap, dtype=np.float32) * 255 / overlap).astype(np.uint8)
    if along_x:
        return Image.fromarray(np.broadcast_to(levels, (size[1], overlap)).copy())
    return Image.fromarray(np.broadcast_to(levels[:, None], (overlap, size[0])).copy())
