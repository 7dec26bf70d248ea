"""Laws: promised sizes come out; tiles change nothing where a network looks no further than the context around them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from modules.imaging import upscale
from modules.imaging.upscale import CONTEXT, Bytes, Reals

SIDES = st.integers(1, 200)


def noise(height: int, width: int) -> Bytes:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


@given(width=st.integers(8, 400), height=st.integers(8, 400), scale=st.floats(1, 8), own=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_sides_are_rounded_down_to_multiples_of_8(width: int, height: int, scale: float, own: int) -> None:
    image = Image.new("RGB", (width, height))
    enlarged = upscale.towards(image, scale, lambda picture: upscale.by_filter(picture, own, Image.Resampling.NEAREST))
    assert enlarged.size == (int(width * scale // 8 * 8), int(height * scale // 8 * 8))


def test_a_network_is_applied_until_the_size_is_reached_but_three_times_at_most() -> None:
    def passes(scale: float, own: int) -> list[int]:
        seen: list[int] = []

        def once(image: Image.Image) -> Image.Image:
            seen.append(image.width)
            return upscale.by_filter(image, own, Image.Resampling.NEAREST)

        upscale.towards(Image.new("RGB", (16, 16)), scale, once)
        return seen

    assert passes(2, 4) == [16]
    assert passes(5, 4) == [16, 64]
    assert passes(50, 2) == [16, 32, 64]
    assert passes(2, 1) == [16], "one that changes no size is not asked again"
    assert passes(1, 4) == [16], "A1111 runs the network at factor 1 too, then goes back to the size"
    assert passes(0.5, 4) == []


@given(length=st.integers(1, 5000), tile=st.integers(16, 512), overlap=st.integers(0, 8))
@settings(max_examples=100, deadline=None)
def test_tiles_cover_a_side_and_overlap_as_promised(length: int, tile: int, overlap: int) -> None:
    begins = upscale.starts(length, tile, overlap)
    assert begins[0] == 0
    assert begins[-1] == max(0, length - tile)
    assert all(after - before <= tile - overlap for before, after in itertools.pairwise(begins))


def blurred(reach: int, scale: int) -> object:
    """A network that looks `reach` pixels around: a mean, then every pixel `scale` times."""

    def run(picture: Bytes) -> Reals:
        mean = ndimage.uniform_filter(picture.astype(np.float32), (2 * reach + 1, 2 * reach + 1, 1))
        return np.repeat(np.repeat(mean, scale, 0), scale, 1)

    return run


@given(height=SIDES, width=SIDES, tile=st.integers(16, 64), overlap=st.integers(0, 16), scale=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_tiles_change_nothing(height: int, width: int, tile: int, overlap: int, scale: int) -> None:
    picture, run = noise(height, width), blurred(CONTEXT, scale)
    whole = upscale.in_tiles(picture, run, scale=scale, tile=0, overlap=0)
    tiled = upscale.in_tiles(picture, run, scale=scale, tile=tile, overlap=overlap)
    assert whole.shape == (height * scale, width * scale, 3)
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1


def test_where_a_network_looks_further_neighbours_fade_into_each_other() -> None:
    """A network whose answer is the mean of its tile: between two tiles the values go over in steps, not at once."""

    def mean(picture: Bytes) -> Reals:
        return np.full(picture.shape, picture.mean(), np.float32)

    picture = np.zeros((60, 300, 3), np.uint8)
    picture[:, 150:] = 255
    row = upscale.in_tiles(picture, mean, scale=1, tile=100, overlap=20)[0, :, 0].astype(int)
    assert row[-1] - row[0] > 100
    assert np.abs(np.diff(row)).max() < 20


def test_the_network_sees_windows_that_begin_at_multiples_of_align() -> None:
    seen: list[tuple[int, int]] = []
    columns = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (8, 200, 3))

    def run(picture: Bytes) -> Reals:
        seen.append((int(picture[0, 0, 0]), int(picture[0, -1, 0]) + 1))
        return picture.astype(np.float32)

    upscale.in_tiles(np.ascontiguousarray(columns), run, scale=1, tile=50, overlap=8, align=16)
    assert len(seen) > 3
    assert all(start % 16 == 0 and (stop % 16 == 0 or stop == 200) for start, stop in seen)


def test_every_tile_is_told_and_what_the_listener_raises_ends_the_work() -> None:
    told: list[tuple[int, int]] = []

    def on_tile(done: int, all: int) -> None:
        told.append((done, all))
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        upscale.in_tiles(
            noise(64, 64), lambda picture: picture.astype(np.float32), scale=1, tile=32, overlap=0, on_tile=on_tile
        )
    assert told == [(1, 4), (2, 4), (3, 4)]
