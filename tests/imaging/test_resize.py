"""Resizing: whatever size goes in, the promised one comes out, and what must be kept is kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.imaging.resize import Mode, mode, resize

SIDES = st.one_of(st.integers(1, 48), st.sampled_from([1, 2, 4095, 4096]))


def picture(width: int, height: int, *, kind: str = "RGB") -> Image.Image:
    ramp = np.arange(width * height, dtype=np.uint32).reshape(height, width) * 7 % 256
    return Image.fromarray(ramp.astype(np.uint8), "L").convert(kind)


@settings(max_examples=120, deadline=None)
@given(
    SIDES, SIDES, st.integers(1, 64), st.integers(1, 64), st.sampled_from(Mode), st.sampled_from(["L", "RGB", "RGBA"])
)
def test_the_promised_size_comes_out(
    width: int, height: int, to_width: int, to_height: int, how: Mode, kind: str
) -> None:
    result = resize(picture(width, height, kind=kind), (to_width, to_height), how)
    assert result.size == (to_width, to_height)
    assert result.mode == ("L" if kind == "L" else "RGB")


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(Mode))
def test_the_same_size_changes_no_pixel(width: int, height: int, how: Mode) -> None:
    before = picture(width, height)
    assert resize(before, (width, height), how).tobytes() == before.tobytes()


def test_cropping_shows_the_middle() -> None:
    before = Image.new("RGB", (30, 10), "red")
    before.paste("blue", (10, 0, 20, 10))
    assert resize(before, (10, 10), Mode.CROP).getcolors() == [(100, (0, 0, 255))]


def test_filling_keeps_all_of_the_picture_and_pulls_its_edges_outwards() -> None:
    before = Image.new("RGB", (40, 20), "green")
    before.paste("red", (0, 0, 40, 8))
    result = resize(before, (40, 40), Mode.FILL)
    assert result.crop((0, 10, 40, 30)).tobytes() == before.tobytes()
    assert result.getpixel((20, 0)) == (255, 0, 0)
    assert result.getpixel((20, 39)) == (0, 128, 0)


def test_an_upscaler_is_asked_only_where_a_coloured_picture_grows() -> None:
    asked: list[float] = []

    def upscale(image: Image.Image, factor: float) -> Image.Image:
        asked.append(factor)
        return image.resize((image.width * 3, image.height * 3), Image.Resampling.NEAREST)

    assert resize(picture(10, 10), (20, 15), upscale=upscale).size == (20, 15)
    resize(picture(10, 10), (10, 5), upscale=upscale)
    resize(picture(10, 10, kind="L"), (20, 20), upscale=upscale)
    assert asked == [2.0]


def test_another_mode_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="resize_mode must be 0") as caught:
        mode(4)
    assert caught.value.field == "resize_mode"
