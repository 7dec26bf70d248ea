"""Tiles cover a picture evenly; what is cut and joined again is the picture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.imaging.tiles import tiling

SIZES = st.tuples(st.integers(64, 400), st.integers(64, 400))


@settings(deadline=None)
@given(SIZES, st.integers(0, 63))
@example((174, 315), 27)
def test_tiles_cover_everything_and_overlap_enough(size: tuple[int, int], overlap: int) -> None:
    found = tiling(size, tile=(64, 64), overlap=overlap)
    for length, starts in zip(size, (found.lefts, found.tops), strict=True):
        assert (starts[0], starts[-1]) == (0, length - 64)
        assert all(64 - (after - before) >= overlap for before, after in itertools.pairwise(starts))


@settings(deadline=None, max_examples=30)
@given(SIZES, st.integers(0, 56))
@example((174, 315), 27)
def test_what_is_cut_is_joined_again(size: tuple[int, int], overlap: int) -> None:
    noise = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    found = tiling(size, tile=(64, 64), overlap=overlap)
    assert len(found.cut(picture)) == len(found)
    joined = np.asarray(found.join(found.cut(picture))).astype(int)
    assert np.abs(joined - noise).max() <= 1, "fading a colour into itself may round"


def test_a_seam_fades_from_one_tile_into_the_next() -> None:
    found = tiling((96, 64), tile=(64, 64), overlap=32)
    joined = np.asarray(found.join([Image.new("L", (64, 64), level).convert("RGB") for level in (0, 255)]))[0, :, 0]
    assert not joined[:32].any()
    assert (joined[64:] == 255).all()
    assert (np.diff(joined[32:64].astype(int)) >= 0).all()


@pytest.mark.parametrize("overlap", [-1, 64, 500])
def test_an_overlap_that_leaves_nothing_is_refused(overlap: int) -> None:
    with pytest.raises(BadRequest, match="overlap"):
        tiling((300, 300), tile=(64, 64), overlap=overlap)
