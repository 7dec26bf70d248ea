"""Laws: every crop has the size that was asked for and shows the picture only; examples: what it is cut around."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from modules.imaging import crops
from modules.imaging.crops import SizeRange, Weights

SIDES = st.integers(16, 300)


def ramp(width: int, height: int) -> Image.Image:
    """Brighter from left to right and from top to bottom; nowhere black."""
    rows, columns = np.mgrid[0:height, 0:width]
    values = 20 + 235 * (columns / width + rows / height) / 2
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


@given(width=SIDES, height=SIDES, wide=st.integers(8, 200), high=st.integers(8, 200), overlap=st.floats(0, 0.9))
@settings(max_examples=60, deadline=None)
def test_pieces_have_the_size_and_cover_the_picture(
    width: int, height: int, wide: int, high: int, overlap: float
) -> None:
    pieces = crops.split(ramp(width, height), (wide, high), threshold=1, overlap=overlap)
    if len(pieces) == 1 and pieces[0].size == (width, height):
        return  # its shape is no longer than the wanted one
    assert {piece.size for piece in pieces} == {(wide, high)}
    assert min(np.asarray(piece).min() for piece in pieces) > 0, "nothing from beyond the border"


def test_a_picture_of_about_the_right_shape_is_not_split() -> None:
    image = ramp(100, 150)
    assert crops.split(image, (100, 100), threshold=0.5, overlap=0) == [image]
    assert len(crops.split(image, (100, 100), threshold=0.7, overlap=0)) == 2
    assert crops.split(image, (100, 150), threshold=1, overlap=0) == [image]


def test_flips_come_in_a_fixed_order() -> None:
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    pixels = np.asarray(image)
    horizontal, both = crops.flips(image, ["Both", "Horizontal"])
    assert np.array_equal(horizontal, pixels[:, ::-1])
    assert np.array_equal(both, pixels[::-1, ::-1])
    assert crops.flips(image, []) == []


@given(width=st.integers(64, 2000), height=st.integers(64, 2000), objective=st.booleans())
@settings(max_examples=40, deadline=None)
def test_an_automatic_size_lies_in_its_bounds(width: int, height: int, objective: bool) -> None:
    allowed = SizeRange(objective="Maximize area" if objective else "Minimize error")
    cropped = crops.to_fitting_size(Image.new("L", (width, height)), allowed)
    if cropped is None:
        return
    assert min(cropped.size) >= 384
    assert max(cropped.size) <= 768
    assert cropped.width * cropped.height <= 640 * 640
    ratio = width / height / (cropped.width / cropped.height)
    assert 1 - min(ratio, 1 / ratio) <= 0.1


def test_the_two_objectives_choose_differently() -> None:
    image = Image.new("L", (1000, 1000))
    largest = crops.to_fitting_size(image, SizeRange(threshold=0.2))
    exact = crops.to_fitting_size(image, SizeRange(objective="Minimize error", threshold=0.2))
    assert largest is not None
    assert exact is not None
    assert largest.width * largest.height > exact.width * exact.height or largest.size == exact.size
    assert exact.width == exact.height
    assert crops.to_fitting_size(Image.new("L", (4000, 100)), SizeRange()) is None


@given(width=SIDES, height=SIDES, wide=st.integers(8, 200), high=st.integers(8, 200))
@settings(max_examples=40, deadline=None)
def test_a_focal_crop_has_the_size_and_stays_inside(width: int, height: int, wide: int, high: int) -> None:
    image = crops.scaled_for(ramp(width, height), (wide, high))
    focus = crops.around_focus(image, (wide, high), Weights(face=0))
    assert focus.image.size == (wide, high)
    assert focus.debug.size == image.size
    assert np.asarray(focus.image).min() > 0, "nothing from beyond the border"


def spotted(width: int, height: int, left: int) -> Image.Image:
    """Grey with a chequered square at `left`."""
    image = Image.new("RGB", (width, height), (128, 128, 128))
    pen = ImageDraw.Draw(image)
    for row in range(4):
        for column in range(4):
            if (row + column) % 2:
                x, y = left + column * 10, 20 + row * 10
                pen.rectangle((x, y, x + 9, y + 9), fill=(255, 255, 255))
    return image


@pytest.mark.parametrize(("left", "kept"), [(5, True), (350, False)])
def test_the_crop_goes_where_the_corners_are(left: int, kept: bool) -> None:
    image = spotted(400, 100, left)
    focus = crops.around_focus(image, (100, 100), Weights(face=0, entropy=0, edges=1))
    assert np.asarray(focus.image).max() == 255
    first = np.asarray(image)[:, :100].max() == 255
    assert first is np.bool_(kept)


def test_faces_draw_the_crop_with_their_weight() -> None:
    image = spotted(400, 100, 5)
    weights = Weights(face=1, entropy=0, edges=0)
    focus = crops.around_focus(image, (100, 100), weights, [(380, 50), (360, 50)])
    assert np.array_equal(focus.image, np.asarray(image)[:, 300:])
    between = crops.around_focus(image, (100, 100), Weights(face=0.5, entropy=0, edges=0.5), [(380, 50)])
    assert np.asarray(between.image).max() == 128, "half way between the corners and the face there is nothing"
