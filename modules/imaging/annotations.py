"""Words at the top and the left of a grid of pictures: the legends of plots, the crossed-out words of prompt matrices.

Called by `generate.scripts`. The font is Roboto (`fonts/`, Apache licence 2.0), the same file that A1111 draws with, so
that legends agree with A1111's in every pixel; the option `font` names another file.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from PIL import Image, ImageColor, ImageDraw, ImageFont

from modules.core.errors import BadRequest
from modules.imaging import small_letters
from modules.imaging.small_letters import ROBOTO

log = logging.getLogger(__name__)

Colour: TypeAlias = "tuple[int, ...] | int"


@dataclasses.dataclass(frozen=True)
class Note:
    """A text beside a row or a column; one that is not active is grey and crossed out."""

    text: str = ""
    active: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """What the options say of legends. font: a file of the user's own, "" for Roboto; colours as #rrggbb."""

    font: str = ""
    active: str = "#000000"
    inactive: str = "#999999"
    background: str = "#ffffff"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Look:
        return cls(
            font=options["font"],
            active=options["grid_text_active_color"],
            inactive=options["grid_text_inactive_color"],
            background=options["grid_background_color"],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line:
    """A text that fits into `width` pixels where its words allow it; size (width, height) in pixels when drawn."""

    note: Note
    width: int
    size: tuple[int, int]


def annotate(
    grid: Image.Image,
    *,
    cell: tuple[int, int],
    columns: Sequence[Sequence[Note]],
    rows: Sequence[Sequence[Note]],
    margin: int = 0,
    look: Look | None = None,
) -> Image.Image:
    """The grid, its cells (width, height) apart by `margin` pixels, with notes above its columns and left of its rows.

    Without any text at the left (at the top) there is no room at the left (at the top). Raises ValueError when notes
    and cells do not match in number, BadRequest for a colour that is none.
    """
    look = look or Look()
    width, height = cell
    if (grid.width // width, grid.height // height) != (len(columns), len(rows)):
        raise ValueError(f"a grid of {grid.width // width} x {grid.height // height} cells cannot have these notes")
    font_size = (width + height) // 25
    gap = font_size // 2
    left = width * 3 // 4 if any(note.text for notes in rows for note in notes) else 0
    over = [_wrapped(notes, width, look, font_size) for notes in columns]
    beside = [_wrapped(notes, left, look, font_size) for notes in rows]
    over_heights = [_height(lines) + gap * (len(lines) - 1) for lines in over]
    beside_heights = [_height(lines) for lines in beside]
    top = max(over_heights) + gap * 2 if sum(over_heights) else 0

    size = (grid.width + left + margin * (len(columns) - 1), grid.height + top + margin * (len(rows) - 1))
    result = Image.new("RGB", size, _colour(look.background, "grid_background_color"))
    for row in range(len(rows)):
        for column in range(len(columns)):
            box = (width * column, height * row, width * (column + 1), height * (row + 1))
            result.paste(grid.crop(box), (left + (width + margin) * column, top + (height + margin) * row))
    for column, lines in enumerate(over):
        middle = left + (width + margin) * column + width / 2
        _write(result, (middle, top / 2 - over_heights[column] / 2), lines, look, font_size)
    for row, lines in enumerate(beside):
        middle = top + (height + margin) * row + height / 2
        _write(result, (left / 2, middle - beside_heights[row] / 2), lines, look, font_size)
    return result


def annotate_matrix(
    grid: Image.Image, *, cell: tuple[int, int], words: Sequence[str], margin: int = 0, look: Look | None = None
) -> Image.Image:
    """The grid of a prompt matrix, picture n having the words whose bit is set in n; the others are crossed out.

    The first half of the words varies along the columns, the second along the rows.
    """
    half = math.ceil(len(words) / 2)
    columns, rows = (
        [
            [Note(word, active=bool(number >> bit & 1)) for bit, word in enumerate(part)]
            for number in range(1 << len(part))
        ]
        for part in (words[:half], words[half:])
    )
    return annotate(grid, cell=cell, columns=columns, rows=rows, margin=margin, look=look)


def _wrapped(notes: Sequence[Note], width: int, look: Look, font_size: int) -> list[_Line]:
    """Each note's words in as many lines as `width` pixels ask for; an empty note is one empty line."""
    font, draw = _font(look.font, font_size), ImageDraw.Draw(Image.new("RGB", (1, 1)))
    lines: list[_Line] = []
    for note in notes:
        texts = [""]
        for word in note.text.split():
            longer = f"{texts[-1]} {word}".strip()
            if draw.textlength(longer, font=font) <= width:
                texts[-1] = longer
            else:
                texts.append(word)
        for text in texts:
            box = draw.multiline_textbbox((0, 0), text, font=font)
            high = small_letters.height(text, font) if small_letters.small(font) else int(box[3] - box[1])
            size = (int(box[2] - box[0]), high)
            lines.append(_Line(note=Note(text, note.active), width=width, size=size))
    return lines


def _height(lines: Sequence[_Line]) -> int:
    return sum(line.size[1] for line in lines)


def _write(result: Image.Image, at: tuple[float, float], lines: Sequence[_Line], look: Look, font_size: int) -> None:
    """Lines below each other, centred at x = at[0], from y = at[1] on; a word that is too long becomes smaller."""
    x, y = at
    draw = ImageDraw.Draw(result)
    active, inactive = (
        _colour(look.active, "grid_text_active_color"),
        _colour(look.inactive, "grid_text_inactive_color"),
    )
    for line in lines:
        font, text = _fitting(draw, line, look, font_size), line.note.text
        fill = active if line.note.active else inactive
        place = (x, y + line.size[1] / 2)
        if small_letters.small(font):
            ink, corner = small_letters.ink(place, text, font)
            result.paste(fill, (*corner, corner[0] + ink.width, corner[1] + ink.height), mask=ink)
        else:
            draw.multiline_text(place, text, font=font, fill=fill, anchor="mm", align="center")
        if not line.note.active:
            half, middle = line.size[0] // 2, y + line.size[1] // 2
            draw.line((x - half, middle, x + half, middle), fill=inactive, width=4)
        y += line.size[1] + font_size // 2


def _fitting(draw: ImageDraw.ImageDraw, line: _Line, look: Look, font_size: int) -> ImageFont.FreeTypeFont:
    font = _font(look.font, font_size)
    while font_size > 1 and draw.multiline_textbbox((0, 0), line.note.text, font=font)[2] > line.width:
        font_size -= 1
        font = _font(look.font, font_size)
    return font


@functools.lru_cache(maxsize=64)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """The user's font or, where there is none or it cannot be read, Roboto; sizes begin at 1 pixel."""
    if path:
        try:
            return ImageFont.truetype(path, max(1, size))
        except OSError as error:
            log.warning("The font %s (option font) cannot be read, Roboto is taken: %s", path, error)
    return ImageFont.truetype(str(ROBOTO), max(1, size))


def _colour(name: str, field: str) -> Colour:
    try:
        return ImageColor.getcolor(name, "RGB")
    except ValueError as error:
        raise BadRequest(f'"{name}" is no colour; write it as #rrggbb.', field=field) from error
