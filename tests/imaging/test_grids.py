"""Grids: nothing is lost, and the layout is A1111's."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.imaging.grids import grid, row_count_for
from modules.imaging.policy import SavePolicy

GOLDEN = Path(__file__).parents[3] / "shared" / "reference" / "golden" / "batch"


def tiles(count: int, size: tuple[int, int] = (3, 2)) -> list[Image.Image]:
    return [Image.new("RGB", size, (index + 1, 2 * index, 7)) for index in range(count)]


@given(st.integers(1, 30), st.integers(-1, 16), st.booleans(), st.integers(1, 8))
def test_every_picture_is_there_in_order(count: int, n_rows: int, prevent: bool, batch_size: int) -> None:
    policy = SavePolicy(n_rows=n_rows, prevent_empty_spots=prevent, background="#000000")
    result = grid(tiles(count), policy=policy, batch_size=batch_size)
    cells = [result.getpixel((left, top)) for top in range(0, result.height, 2) for left in range(0, result.width, 3)]
    assert cells[:count] == [(index + 1, 2 * index, 7) for index in range(count)]
    assert set(cells[count:]) <= {(0, 0, 0)}
    if prevent and n_rows == -1:
        assert len(cells) == count


@pytest.mark.parametrize(
    ("count", "rows"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 3), (12, 3), (13, 4), (16, 4)]
)
def test_automatic_rows(count: int, rows: int) -> None:
    assert row_count_for(count, SavePolicy()) == rows
    assert row_count_for(count, SavePolicy(n_rows=5)) == 5
    assert row_count_for(count, SavePolicy(n_rows=0), batch_size=3) == 3
    assert row_count_for(count, SavePolicy(prevent_empty_spots=True)) <= math.sqrt(count)


def test_explicit_rows_win_and_are_capped() -> None:
    assert grid(tiles(3), rows=1).size == (9, 2)
    assert grid(tiles(3), rows=9).size == (3, 6)


def test_smaller_pictures_are_centred_on_the_background() -> None:
    result = grid([*tiles(1, (6, 6)), Image.new("RGB", (2, 2), "red")], rows=1, policy=SavePolicy(background="#0000ff"))
    assert result.size == (12, 6)
    assert result.getpixel((6, 0)) == (0, 0, 255)
    assert result.getpixel((8, 2)) == result.getpixel((9, 3)) == (255, 0, 0)


def test_wrong_colours_and_no_pictures_are_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        grid(tiles(1), policy=SavePolicy(background="nosuch"))
    assert caught.value.field == "grid_background_color"
    with pytest.raises(ValueError, match="at least one"):
        grid([])


@pytest.mark.skipif(not GOLDEN.exists(), reason="the reference pictures of A1111 are not here")
def test_grid_of_a1111() -> None:
    expected, *pictures = (Image.open(GOLDEN / f"grid-saved-{index}.png") for index in range(5))
    result = grid(pictures)
    assert result.mode == expected.mode
    assert result.tobytes() == expected.tobytes()
