"""Legends make room beside a grid and leave its pictures as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.imaging.annotations import Look, Note, annotate, annotate_matrix
from modules.imaging.small_letters import ROBOTO

CELL = (100, 80)


def grid(columns: int, rows: int) -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 256, (rows * CELL[1], columns * CELL[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


def notes(*texts: str) -> list[list[Note]]:
    return [[Note(text)] for text in texts]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=4),
    st.lists(st.text(max_size=30), min_size=1, max_size=3),
    st.integers(0, 60),
)
def test_every_cell_is_in_its_place_unchanged(columns: list[str], rows: list[str], margin: int) -> None:
    plain = grid(len(columns), len(rows))
    found = annotate(plain, cell=CELL, columns=notes(*columns), rows=notes(*rows), margin=margin)
    left = found.width - plain.width - margin * (len(columns) - 1)
    top = found.height - plain.height - margin * (len(rows) - 1)
    assert left == (CELL[0] * 3 // 4 if any(rows) else 0)
    pixels, before = np.asarray(found), np.asarray(plain)
    for row in range(len(rows)):
        for column in range(len(columns)):
            x, y = left + column * (CELL[0] + margin), top + row * (CELL[1] + margin)
            cell = before[row * CELL[1] : (row + 1) * CELL[1], column * CELL[0] : (column + 1) * CELL[0]]
            assert (pixels[y : y + CELL[1], x : x + CELL[0]] == cell).all()


def test_without_words_there_is_no_room_for_them() -> None:
    plain = grid(2, 2)
    found = annotate(plain, cell=CELL, columns=notes("", ""), rows=notes("", ""))
    assert found.tobytes() == plain.tobytes()


def test_long_texts_take_several_lines() -> None:
    plain = grid(1, 1)
    short, long = (annotate(plain, cell=CELL, columns=notes(text), rows=notes("")) for text in ("word", "word " * 30))
    assert long.height > short.height
    assert long.width == short.width


def test_words_that_are_not_meant_are_grey_and_crossed_out() -> None:
    found = np.asarray(annotate_matrix(grid(2, 1), cell=CELL, words=["word"]))
    top = found[: found.shape[0] - CELL[1]]
    first, second = top[:, : CELL[0]], top[:, CELL[0] :]
    assert first.min() >= 150, "nothing is darker than the grey"
    assert second.min() < 50
    assert ((first == 153).all(axis=-1).sum(axis=1) > 15).any(), "a line through the word"


def test_the_look_is_the_options() -> None:
    look = Look(active="#ff0000", background="#0000ff")
    found = np.asarray(annotate(grid(1, 1), cell=CELL, columns=notes("word"), rows=notes(""), look=look))
    top = found[: found.shape[0] - CELL[1]]
    assert tuple(top[0, 0]) == (0, 0, 255)
    assert not top[..., 1].any(), "red on blue has no green"
    assert top[..., 0].max() > 150
    with pytest.raises(BadRequest, match="colour"):
        annotate(grid(1, 1), cell=CELL, columns=notes("a"), rows=notes(""), look=Look(active="blackish"))


def test_a_font_that_cannot_be_read_is_roboto() -> None:
    assert ROBOTO.is_file()
    usual, other = (
        annotate(grid(1, 1), cell=CELL, columns=notes("word"), rows=notes(""), look=Look(font=font))
        for font in ("", "/nowhere/none.ttf")
    )
    assert usual.tobytes() == other.tobytes()


def test_notes_that_do_not_fit_the_grid_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="2 x 1"):
        annotate(grid(2, 1), cell=CELL, columns=notes("a"), rows=notes("b"))
