"""What lies over an inpainted picture: outside the mask every pixel is the old picture's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.imaging.overlay import around, flattened


def noise(width: int, height: int, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8), "RGB")


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**16))
def test_black_keeps_and_white_gives_way(width: int, height: int, seed: int) -> None:
    old, new = noise(width, height, seed), noise(width, height, seed + 1)
    levels = np.random.default_rng(seed).integers(0, 2, (height, width), dtype=np.uint8) * 255
    over = around(old, Image.fromarray(levels, "L"))
    result = np.asarray(over.laid_over(new))
    assert (result[levels == 0] == np.asarray(old)[levels == 0]).all()
    assert (result[levels == 255] == np.asarray(new)[levels == 255]).all()


def test_a_part_goes_to_its_place() -> None:
    old, mask = Image.new("RGB", (20, 10), "red"), Image.new("L", (20, 10))
    mask.paste(255, (5, 2, 10, 7))
    over = around(old, mask, (5, 2, 10, 7))
    result = over.laid_over(Image.new("RGB", (64, 64), "blue"))
    assert sorted(result.getcolors()) == [(25, (0, 0, 255)), (175, (255, 0, 0))]
    part = over.cut_out(Image.new("RGB", (64, 64), "blue"))
    assert part.getpixel((0, 0)) == (0, 0, 0, 0)
    assert part.getpixel((7, 4)) == (0, 0, 255, 255)


def test_a_part_that_grows_is_enlarged_as_it_is_wanted() -> None:
    asked: list[float] = []

    def upscale(image: Image.Image, factor: float) -> Image.Image:
        asked.append(factor)
        return Image.new("RGB", (image.width * 2, image.height * 2), "lime")

    white = Image.new("L", (20, 20), 255)
    over = around(Image.new("RGB", (20, 20)), white, (0, 0, 16, 16), upscale=upscale)
    assert over.laid_over(Image.new("RGB", (8, 8), "blue")).getpixel((3, 3)) == (0, 255, 0)
    assert over.laid_over(Image.new("RGB", (32, 32), "blue")).getpixel((3, 3)) == (0, 0, 255)
    assert asked == [2.0]


def test_transparency_shows_the_colour_behind() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    result = flattened(image, "#00ff00")
    assert [result.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (0, 255, 0)]
    assert flattened(Image.new("L", (1, 1), 7), "no colour").getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(BadRequest) as caught:
        flattened(image, "no colour")
    assert caught.value.field == "img2img_background_color"
