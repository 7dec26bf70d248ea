"""A picture follows from its scene; it shows the colour where the thing is; edges are smooth; things look different."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from modules.training.painter.colours import COLOURS, distance
from modules.training.painter.picture import PIXELS, paint
from modules.training.painter.places import STYLES
from modules.training.painter.scene import Scene, Thing, draw
from modules.training.painter.things import THINGS


def scene(kind: str = "circle", colour: str = "red", **facts: object) -> Scene:
    thing = Thing(kind=kind, colour=colour, size="large", place="middle", count=1, x=0.5, y=0.5, radius=0.35)
    return dataclasses.replace(
        Scene(seed=0, things=(thing,), ground="plain", time="day", style="flat"),
        **facts,
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_same_scene_gives_the_same_pixels(seed: int) -> None:
    assert paint(draw(seed)).tobytes() == paint(draw(seed)).tobytes()


@pytest.mark.parametrize("size", [32, 128, 192])
def test_any_size_shows_the_same(size: int) -> None:
    picture = paint(scene(), size)
    assert picture.size == (size, size)
    assert picture.getpixel((size // 2, size // 2)) == COLOURS["red"]
    assert picture.getpixel((1, 1)) == (252, 252, 252)


def test_edges_are_smooth() -> None:
    """A disc of red on white has pixels of many shades between the two."""
    green = np.asarray(paint(scene()))[..., 1]
    assert len(np.unique(green)) > 12


def test_pixel_art_is_made_of_blocks() -> None:
    pixels = np.asarray(paint(scene("star", style="pixel art")))
    side = 128 // PIXELS
    blocks = pixels.reshape(PIXELS, side, PIXELS, side, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()


@pytest.mark.parametrize("style", [style for style in STYLES if style != "flat"])
def test_styles_look_different(style: str) -> None:
    flat, other = (np.asarray(paint(scene("house", style=each)), dtype=float) for each in ("flat", style))
    assert np.abs(flat - other).mean() > 1.5


@pytest.mark.parametrize("kind", THINGS)
def test_every_thing_shows_its_colour(kind: str) -> None:
    pixels = np.asarray(paint(scene(kind, "blue"))).reshape(-1, 3)
    near = sum(distance((int(r), int(g), int(b)), COLOURS["blue"]) < 40 for r, g, b in pixels)
    assert near > 0.02 * len(pixels)


def test_no_two_things_have_nearly_the_same_outline() -> None:
    """Share of pixels that differ between filled outlines; the nearest two are still well apart."""
    shapes = {kind: np.asarray(paint(scene(kind, "black"), 64)).min(axis=2) < 235 for kind in THINGS}
    names = list(shapes)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            union = (shapes[first] | shapes[second]).sum()
            assert (shapes[first] ^ shapes[second]).sum() / union > 0.15, (first, second)


def test_night_is_darker_than_day() -> None:
    day, night = (np.asarray(paint(scene(ground="sea", time=time))).mean() for time in ("day", "night"))
    assert night < day / 2


def test_a_mirrored_boat_differs_and_a_mirrored_circle_does_not() -> None:
    for kind, changes in (("boat", True), ("circle", False)):
        plain = scene(kind)
        turned = dataclasses.replace(plain, things=(dataclasses.replace(plain.things[0], mirrored=True),))
        assert (paint(plain).tobytes() != paint(turned).tobytes()) == changes
