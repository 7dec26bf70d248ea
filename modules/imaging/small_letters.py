"""Lines of letters below nine pixels as A1111's Pillow 9 and FreeType 2.13 drew them, for the legends of small grids.

Two things have changed since, and at these sizes they show: where two letters share a pixel, the darker one counted and
now both do; and FreeType 2.14 sets the dots of i and j one pixel higher, to keep them apart from their stems. So the
letters are drawn one by one here. Called by `annotations`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont

ROBOTO = Path(__file__).parent / "fonts" / "Roboto-Regular.ttf"
SMALL = 8
"""Sizes in pixels up to which FreeType's versions differ."""
DOTTED = "ij"


def small(font: ImageFont.FreeTypeFont) -> bool:
    """Whether lines in this font are for this module; in a font of the user's own nothing is moved."""
    return font.size <= SMALL and font.path == str(ROBOTO)


def ink(at: tuple[float, float], text: str, font: ImageFont.FreeTypeFont) -> tuple[Image.Image, tuple[int, int]]:
    """A line whose middle is at a point: where its ink is (L, 255 is full), and where that mask's corner lies."""
    marks = []
    for letter, (x, y) in _places(text, at, font):
        mark, (left, top) = _drawn(letter, font)
        marks.append((mark, x + left, y + top))
    x, y = min((left for _, left, _ in marks), default=0), min((top for _, _, top in marks), default=0)
    right = max((left + mark.width for mark, left, _ in marks), default=0)
    below = max((top + mark.height for mark, _, top in marks), default=0)
    canvas = Image.new("L", (right - x, below - y))
    for mark, left, top in marks:
        box = (left - x, top - y, left - x + mark.width, top - y + mark.height)
        canvas.paste(ImageChops.lighter(canvas.crop(box), mark), box)
    return canvas, (x, y)


def height(text: str, font: ImageFont.FreeTypeFont) -> int:
    """Rows from the highest to the lowest one with ink."""
    boxes = [(top, top + mark.height) for mark, (_, top) in (_drawn(letter, font) for letter in text if letter.strip())]
    return max((end for _, end in boxes), default=0) - min((top for top, _ in boxes), default=0)


def _places(text: str, at: tuple[float, float], font: ImageFont.FreeTypeFont) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each letter with the pixel of its origin, as Pillow rounds it for a line anchored in its middle."""
    (part, x), (below, y) = math.modf(at[0]), math.modf(at[1])
    start = x - math.floor(font.getlength(text) / 2 + 0.5)
    base = y + math.ceil(below - 0.5) + font.getbbox(text, anchor="mm")[1] - font.getbbox(text, anchor="ls")[1]
    for number, letter in enumerate(text):
        before = font.getlength(text[: number + 1]) - font.getlength(letter)  # with the kerning between the two
        yield letter, (int(start + math.floor(part + before + 0.5)), int(base))


@functools.lru_cache(maxsize=1024)
def _drawn(letter: str, font: ImageFont.FreeTypeFont) -> tuple[Image.Image, tuple[int, int]]:
    """A letter's ink and where its upper left corner lies, seen from its origin on the base line."""
    room = 4 * SMALL
    canvas = Image.new("L", (2 * room, 2 * room))
    ImageDraw.Draw(canvas).text((room, room), letter, font=font, fill=255, anchor="ls")
    if letter in DOTTED:
        canvas = _dots_lowered(canvas)
    box = canvas.getbbox() or (room, room, room, room)
    return canvas.crop(box), (box[0] - room, box[1] - room)


def _dots_lowered(canvas: Image.Image) -> Image.Image:
    """What lies above the first empty row, one row further down."""
    box = canvas.getbbox()
    if box is None:
        return canvas
    gap = next(
        (row for row in range(box[1], box[3]) if canvas.crop((0, row, canvas.width, row + 1)).getbbox() is None), 0
    )
    if not gap:
        return canvas
    dots = canvas.crop((0, 0, canvas.width, gap))
    canvas.paste(0, (0, 0, canvas.width, gap))
    canvas.paste(dots, (0, 1))
    return canvas
