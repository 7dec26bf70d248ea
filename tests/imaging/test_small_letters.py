"""Letters below nine pixels lie where A1111's Pillow and FreeType put them."""

from __future__ import annotations

import itertools
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from modules.imaging import small_letters
from modules.imaging.annotations import annotate_matrix
from tests.reference.cases import SHARED, SHIPPED, read

Pixels: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.int_]]"
SIZE = (120, 30)
PLACES = ((60.0, 12.0), (60.5, 12.5), (60.0, 12.5), (60.25, 12.75))


def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(small_letters.ROBOTO), size)


def drawn(at: tuple[float, float], text: str, size: int) -> Pixels:
    """On a canvas of SIZE."""
    canvas = Image.new("L", SIZE)
    canvas.paste(*small_letters.ink(at, text, font(size)))
    return np.asarray(canvas, dtype=int)


@pytest.mark.parametrize(("size", "at"), list(itertools.product((4, 5, 7, 8), PLACES)))
def test_letters_that_do_not_touch_are_pillows_own(size: int, at: tuple[float, float]) -> None:
    text = "r  e  d  A  g  5"
    theirs = Image.new("L", SIZE)
    ImageDraw.Draw(theirs).text(at, text, font=font(size), fill=255, anchor="mm")
    assert np.asarray(theirs).any()
    assert np.abs(drawn(at, text, size) - np.asarray(theirs, dtype=int)).max() <= 1


def test_where_two_letters_share_a_pixel_the_darker_one_counts() -> None:
    both, *each = (drawn((60, 15), text, 5) for text in ("ed", "e", "d"))
    assert both.max() <= max(letter.max() for letter in each)


@pytest.mark.parametrize("size", range(4, small_letters.SMALL + 1))
def test_a_dot_lies_on_its_stem(size: int) -> None:
    """FreeType 2.14 leaves an empty row between them."""
    rows = np.flatnonzero(drawn((60, 15), "i", size).sum(axis=1))
    assert (np.diff(rows) == 1).all()
    assert len(rows) == small_letters.height("i", font(size))


def test_nothing_has_no_height() -> None:
    assert small_letters.ink((60, 15), "", font(5))[0].size == (0, 0)
    assert small_letters.height("", font(5)) == small_letters.height("  ", font(5)) == 0


@pytest.mark.reference
def test_the_legend_of_a_small_prompt_matrix_is_a1111s_in_every_pixel() -> None:
    cases = [case for case in read(SHARED) or read(SHIPPED) if case.name == "scripts/prompt-matrix-start-seeds"]
    if not cases:
        pytest.skip("the reference case is absent")
    theirs, *cells = (cases[0].picture(index).convert("RGB") for index in range(5))
    grid = Image.new("RGB", (128, 128))
    for index, cell in enumerate(cells):
        grid.paste(cell, (index % 2 * 64, index // 2 * 64))
    ours = annotate_matrix(grid, cell=(64, 64), words=["red", "big"])
    assert (np.asarray(ours) == np.asarray(theirs)).all()
