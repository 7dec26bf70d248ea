"""Paint becomes a mask of the picture's size, white exactly where something was painted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from modules.web.ui import painting

PICTURE = Image.linear_gradient("L").resize((40, 30)).convert("RGBA")


def stroke(box: tuple[int, int, int, int], colour: str = "#ff0000") -> Image.Image:
    """A layer with one painted box."""
    layer = Image.new("RGBA", PICTURE.size, (0, 0, 0, 0))
    ImageDraw.Draw(layer).rectangle(box, fill=colour)
    return layer


def painted(*layers: Image.Image) -> dict[str, object]:
    composite = PICTURE.copy()
    for layer in layers:
        composite.alpha_composite(layer)
    return {"background": PICTURE, "layers": list(layers), "composite": composite}


def test_the_mask_is_white_where_any_layer_has_paint() -> None:
    mask = painting.mask(painted(stroke((2, 3, 9, 9)), stroke((20, 10, 29, 19))))
    assert mask is not None
    levels = np.asarray(mask)
    assert levels.shape == (30, 40)
    assert set(np.unique(levels)) == {0, 255}
    assert levels[3:10, 2:10].min() == 255
    assert levels[10:20, 20:30].min() == 255
    assert (levels == 255).sum() == 7 * 8 + 10 * 10


@pytest.mark.parametrize("value", [None, {}, {"background": None, "layers": [], "composite": None}, painted()])
def test_without_paint_there_is_no_mask(value: dict[str, object] | None) -> None:
    assert painting.mask(value) is None


def test_an_empty_editor_has_no_picture() -> None:
    empty = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    assert painting.picture({"background": empty, "layers": [], "composite": empty}) is None
    assert painting.sketch(None) is None
    assert painting.picture(painted()) is PICTURE


def test_coloured_paint_is_part_of_the_picture_and_transparency_weakens_it() -> None:
    value = painted(stroke((10, 10, 19, 19)))
    mask = painting.mask(value)
    after = painting.sketch(value)
    assert mask is not None
    assert after is not None
    solid, _ = painting.coloured(PICTURE, after, mask, transparency=0, blur=0)
    assert solid.getpixel((15, 15)) == (255, 0, 0)
    assert solid.getpixel((2, 2)) == PICTURE.convert("RGB").getpixel((2, 2))
    half, weakened = painting.coloured(PICTURE, after, mask, transparency=50, blur=0)
    before = np.asarray(PICTURE.convert("RGB"))[15, 15].astype(int)
    mixed = np.asarray(half)[15, 15].astype(int)
    assert np.abs(mixed - (before + np.array([255, 0, 0])) / 2).max() <= 2
    assert weakened.getpixel((15, 15)) in (127, 128)
