"""A scene to a picture: background, things, and what the style does to them. Every pixel follows from the record."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from modules.training.painter import places
from modules.training.painter.colours import COLOURS, Colour, mix
from modules.training.painter.pen import SCALE, Look, Pen
from modules.training.painter.scene import Scene, Thing
from modules.training.painter.things import MIRRORED, THINGS

PIXELS = 32
"""Blocks along a side of pixel art."""


def paint(scene: Scene, size: int = 128) -> Image.Image:
    """The scene as an RGB picture of size x size pixels."""
    canvas = _background(scene, size * SCALE)
    if scene.style == "watercolor":
        return _watercolor(scene, canvas, size)
    for thing in scene.things:
        _put(canvas, scene, thing)
    if scene.style == "pixel art":
        return canvas.resize((PIXELS, PIXELS), Image.Resampling.BOX).resize((size, size), Image.Resampling.NEAREST)
    return canvas.reduce(SCALE)


def _background(scene: Scene, side: int) -> Image.Image:
    if scene.style == "outline":
        return _sketched_background(scene, side)
    if scene.ground == "plain":
        return Image.new("RGB", (side, side), places.plain(scene.seed))
    horizon = round(places.HORIZON * side)
    column = Image.new("RGB", (1, 16))
    for row in range(16):
        column.putpixel((0, row), places.sky(scene.time, row / 15))
    canvas = Image.new("RGB", (side, side), places.land(scene.ground, scene.time))
    canvas.paste(column.resize((side, horizon), Image.Resampling.BILINEAR), (0, 0))
    _details(scene, ImageDraw.Draw(canvas), side)
    return canvas


def _sketched_background(scene: Scene, side: int) -> Image.Image:
    canvas = Image.new("RGB", (side, side), _paper(scene))
    if scene.ground != "plain":
        draw, colour = ImageDraw.Draw(canvas), mix(places.land(scene.ground, scene.time), (90, 90, 90), 0.25)
        horizon = places.HORIZON * side
        draw.line((0, horizon, side, horizon), fill=colour, width=3 * SCALE)
        _details(scene, draw, side)
    return canvas


def _details(scene: Scene, draw: ImageDraw.ImageDraw, side: int) -> None:
    """Stars, waves, blades, dunes, drifts: what tells one ground and time from another without colour."""
    dice = random.Random(f"details {scene.seed}")
    horizon = places.HORIZON * side
    if scene.time == "night":
        for _ in range(14):
            x, y, radius = dice.uniform(0, side), dice.uniform(0, horizon * 0.9), dice.uniform(0.8, 1.6) * SCALE
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(240, 236, 200))
    land = places.land(scene.ground, scene.time)
    bright = mix(land, (255, 255, 255), 0.3) if scene.ground != "snow" else mix(land, (120, 150, 190), 0.3)
    for _ in range(9):
        x, y, long = dice.uniform(0, side), dice.uniform(horizon * 1.05, side * 0.98), dice.uniform(0.05, 0.1) * side
        if scene.ground == "meadow":
            draw.line((x, y, x + long * 0.15, y - long * 0.5), fill=mix(land, (20, 80, 20), 0.35), width=2 * SCALE)
        else:
            draw.arc((x - long, y - long * 0.3, x + long, y + long * 0.3), 200, 340, fill=bright, width=2 * SCALE)


def _put(canvas: Image.Image, scene: Scene, thing: Thing, *, wobble: float = 0.0) -> None:
    side = canvas.width
    lines = scene.style == "outline"
    look = Look(lines=lines, paper=_paper(scene), dim=0.0 if lines else places.DIM[scene.time], wobble=wobble)
    for x, y in thing.spots():
        pen = Pen(
            canvas,
            colour=COLOURS[thing.colour],
            centre=(x * side, y * side),
            radius=thing.radius * side,
            turn=thing.turn,
            mirrored=thing.mirrored and thing.kind in MIRRORED,
            look=look,
        )
        THINGS[thing.kind](pen)


def _paper(scene: Scene) -> Colour:
    return places.background(scene.ground, scene.time, "outline", 0.5)


def _watercolor(scene: Scene, canvas: Image.Image, size: int) -> Image.Image:
    """Washed-out paint: soft edges, paper grain, blotches, paint that runs thin in places."""
    ground = canvas.reduce(SCALE)
    dressed = canvas.copy()
    for thing in scene.things:
        _put(dressed, scene, thing, wobble=0.05)
    soft = dressed.filter(ImageFilter.GaussianBlur(1.5 * SCALE)).reduce(SCALE)
    sharp = dressed.reduce(SCALE)
    pixels = 0.45 * _numbers(soft) + 0.4 * _numbers(sharp) + 0.15 * _numbers(ground)
    noise = np.random.default_rng(scene.seed)
    blotches, grain = _clouds(noise, size, 7), noise.normal(size=(size, size, 1))
    paper = np.array(places.PAPER, dtype=np.float64)
    share = np.clip(0.1 + 0.12 * blotches, 0, 1)
    pixels = pixels * (1 - share) + paper * share + 2.0 * grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _clouds(noise: np.random.Generator, size: int, cells: int) -> NDArray[np.float64]:
    """Smooth noise (size, size, 1) of about unit variance."""
    coarse = Image.fromarray(noise.normal(size=(cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)[..., None]


def _numbers(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture, dtype=np.float64)
