"""Masks: A1111's arithmetic, for masks of any size and kind."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.imaging import masks


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8), "L")


def box(size: tuple[int, int], place: masks.Box) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, place)
    return mask


SIDES = st.integers(1, 60)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(0, 40), st.integers(0, 40))
def test_blurring_keeps_the_size_and_plain_masks(width: int, height: int, x: int, y: int) -> None:
    assert masks.blurred(noise(width, height), x, y).size == (width, height)
    for level in (0, 255):
        plain = Image.new("L", (width, height), level)
        assert masks.blurred(plain, x, y).tobytes() == plain.tobytes()


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 20))
def test_blurring_along_both_axes_is_one_after_the_other_and_turns_with_the_mask(w: int, h: int, blur: int) -> None:
    mask = noise(w, h)
    assert masks.blurred(mask, blur, blur) == masks.blurred(masks.blurred(mask, blur, 0), 0, blur)
    turned = masks.blurred(mask.transpose(Image.Transpose.TRANSPOSE), 0, blur).transpose(Image.Transpose.TRANSPOSE)
    assert masks.blurred(mask, blur, 0) == turned


@pytest.mark.parametrize("blur", [1, 2, 4, 12])
def test_a_line_becomes_a_bell_that_sums_to_one(blur: int) -> None:
    line = Image.new("L", (101, 1))
    line.putpixel((50, 0), 255)
    levels = np.asarray(masks.blurred(line, blur, 0))[0].astype(int)
    assert abs(levels.sum() - 255) <= 2 * blur
    assert (levels == levels[::-1]).all()
    assert (np.diff(levels[50:]) <= 1).all()  # weights are whole 256ths: what rounding loses goes to the next
    assert 0 < np.count_nonzero(levels) <= 2 * int(2.5 * blur + 0.5) + 1


def test_opencv() -> None:
    """The bytes that OpenCV's GaussianBlur makes of this mask with A1111's kernels, one axis after the other."""
    digests = [hashlib.sha256(masks.blurred(noise(97, 64), blur, blur).tobytes()).hexdigest()[:16] for blur in CV2]
    assert dict(zip(CV2, digests, strict=True)) == CV2


CV2 = {
    1: "6f2577c7fcdf1ed6",
    2: "1d5fd3a829db3479",
    4: "496e0d47a3f30965",
    12: "26b4ccea4e2047e3",
    64: "6c04e9d33703fb32",
}
"""Blur -> the beginning of the SHA-256."""


@given(SIDES, SIDES, st.data())
def test_the_region_holds_everything_white_and_no_more(width: int, height: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    mask = box((width, height), (left, top, right, bottom))
    assert masks.region(mask) == (left, top, right, bottom)
    wider = masks.region(mask, 7)
    assert wider == (max(left - 7, 0), max(top - 7, 0), min(right + 7, width), min(bottom + 7, height))


def test_a_black_mask_has_no_region() -> None:
    assert masks.region(Image.new("L", (9, 9)), 5) is None


@given(st.integers(8, 400), st.integers(8, 400), st.sampled_from([(64, 64), (512, 256), (64, 512)]), st.data())
def test_an_expanded_region_stays_inside_and_holds_the_old_one(
    width: int, height: int, shape: tuple[int, int], data: st.DataObject
) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    x1, y1, x2, y2 = masks.expanded((left, top, right, bottom), shape, (width, height))
    assert 0 <= x1 <= left < right <= x2 <= width
    assert 0 <= y1 <= top < bottom <= y2 <= height


def test_an_expanded_region_has_the_shape_where_there_is_room() -> None:
    assert masks.expanded((100, 100, 140, 110), (64, 64), (512, 512)) == (100, 85, 140, 125)
    assert masks.expanded((0, 0, 10, 40), (64, 64), (512, 512)) == (0, 0, 40, 40)
    assert masks.expanded((500, 0, 512, 40), (64, 64), (512, 512)) == (472, 0, 512, 40)


def test_transparency_is_the_mask_where_there_is_any() -> None:
    mask = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    mask.putpixel((1, 0), (255, 255, 255, 128))
    mask.putpixel((2, 0), (255, 255, 255, 129))
    assert list(masks.binary(mask).tobytes()) == [255, 0, 255]
    assert list(masks.binary(mask, rounded=False).tobytes()) == [255, 128, 129]
    opaque = Image.new("RGBA", (1, 1), (255, 255, 255, 255))
    assert list(masks.binary(opaque).tobytes()) == [255]


@pytest.mark.parametrize("kind", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK"])
def test_every_kind_of_mask_becomes_grey(kind: str) -> None:
    assert masks.binary(noise(9, 5).convert("RGB").convert(kind)).mode == "L"


def test_filling_paints_over_the_masked_part_with_colours_from_around() -> None:
    image = Image.new("RGB", (64, 64), (10, 200, 30))
    image.paste((255, 0, 0), (24, 24, 40, 40))
    mask = box((64, 64), (20, 20, 44, 44))
    result = np.asarray(masks.filled(image, mask)).astype(int)
    assert abs(result[32, 32] - (10, 200, 30)).max() <= 3
    assert (result[:8] == (10, 200, 30)).all()


def test_filling_a_wholly_masked_picture_gives_a_picture() -> None:
    assert masks.filled(Image.new("RGB", (8, 8), "red"), Image.new("L", (8, 8), 255)).size == (8, 8)
