"""Drawing on a supersampled Pillow canvas: shapes in the coordinates of a thing (-1..1, x right, y down).

Everything is drawn `SCALE` times too large and averaged down at the end, which smooths the edges.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from PIL import Image, ImageDraw

from modules.training.painter.colours import Colour, lightness, mix

Point: TypeAlias = tuple[float, float]

SCALE = 4
"""Canvas pixels for one pixel of the picture, either way."""

FIXED: dict[str, Colour] = {
    "wood": (120, 78, 46),
    "leaf": (62, 140, 66),
    "glass": (190, 224, 240),
    "tyre": (40, 40, 44),
    "flame": (250, 160, 40),
    "skin": (240, 228, 200),
    "ink": (24, 24, 28),
}
"""Tones that do not follow the colour of the thing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """How strokes and fills come out. paper: what shows through a drawing of lines; dim: 0 (day) .. 1 (black)."""

    lines: bool = False
    paper: Colour = (255, 255, 255)
    dim: float = 0.0
    wobble: float = 0.0


class Pen:
    """Draws one thing: its middle and half size in canvas pixels, its turn in radians, mirrored or not."""

    def __init__(
        self,
        canvas: Image.Image,
        *,
        colour: Colour,
        centre: Point,
        radius: float,
        turn: float = 0.0,
        mirrored: bool = False,
        look: Look | None = None,
    ) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self._colour = colour
        self._centre = centre
        self._radius = radius
        self._cos, self._sin = math.cos(turn), math.sin(turn)
        self._mirror = -1.0 if mirrored else 1.0
        self._look = look or Look()

    def polygon(self, points: Sequence[Point], tone: str = "main") -> None:
        """A filled area with straight edges."""
        self._fill([self._place(point) for point in points], tone)

    def blob(self, points: Sequence[Point], tone: str = "main") -> None:
        """A filled area with a smooth edge through the points (closed Catmull-Rom spline)."""
        self._fill([self._place(point) for point in smooth(points)], tone)

    def ellipse(self, x: float, y: float, wide: float, high: float | None = None, tone: str = "main") -> None:
        """A filled ellipse about (x, y) with half axes wide and high (a disc without high)."""
        self._fill([self._place(point) for point in arc(x, y, wide, wide if high is None else high)], tone)

    def line(self, points: Sequence[Point], width: float, tone: str = "main") -> None:
        """A stroke with round ends; width in the units of the thing."""
        self._stroke([self._place(point) for point in points], width * self._radius, self._tone(tone))

    def dot(self, x: float, y: float, radius: float, tone: str = "ink") -> None:
        """A small disc that is filled in every style: eyes, lamps."""
        centre_x, centre_y = self._place((x, y))
        size = radius * self._radius
        box = (centre_x - size, centre_y - size, centre_x + size, centre_y + size)
        self._draw.ellipse(box, fill=self._tone(tone))

    def _fill(self, points: list[Point], tone: str) -> None:
        colour = self._tone(tone)
        if not self._look.lines:
            self._draw.polygon(points, fill=colour)
            return
        self._draw.polygon(points, fill=self._look.paper)
        self._stroke([*points, points[0]], self._radius * 0.1, colour)

    def _stroke(self, points: list[Point], width: float, colour: Colour) -> None:
        thick = max(2 * SCALE, round(width))
        self._draw.line(points, fill=colour, width=thick, joint="curve")
        for x, y in (points[0], points[-1]):
            self._draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=colour)

    def _tone(self, tone: str) -> Colour:
        if tone in FIXED:
            colour = FIXED[tone]
            if tone == "ink" and lightness(self._colour) < 0.2:
                colour = (235, 235, 235)
        else:
            colour = _SHADES[tone](self._colour)
        return mix(colour, (10, 12, 40), self._look.dim)

    def _place(self, point: Point) -> Point:
        x, y = point[0] * self._mirror, point[1]
        if self._look.wobble:
            bend = self._look.wobble
            x, y = x + bend * math.sin(3.1 * y + 1.7), y + bend * math.sin(2.7 * x + 0.6)
        turned = x * self._cos - y * self._sin, x * self._sin + y * self._cos
        return self._centre[0] + turned[0] * self._radius, self._centre[1] + turned[1] * self._radius


def _darker(colour: Colour) -> Colour:
    """A shade; black things get a lighter one, or it would not show."""
    return mix(colour, (255, 255, 255), 0.28) if lightness(colour) < 0.2 else mix(colour, (0, 0, 0), 0.26)


_SHADES: dict[str, Callable[[Colour], Colour]] = {
    "main": lambda colour: colour,
    "dark": _darker,
    "light": lambda colour: mix(colour, (255, 255, 255), 0.5) if lightness(colour) < 0.9 else (222, 226, 232),
}


def arc(x: float, y: float, wide: float, high: float, start: float = 0.0, end: float = 360.0) -> list[Point]:
    """Points on an ellipse between two angles in degrees (0 = right, 90 = down), both ends included."""
    steps = max(8, round(abs(end - start) / 7.5))
    angles = (math.radians(start + (end - start) * step / steps) for step in range(steps + 1))
    return [(x + wide * math.cos(angle), y + high * math.sin(angle)) for angle in angles]


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A closed Catmull-Rom spline through the points, as a polygon."""
    count = len(points)
    result = []
    for index in range(count):
        before, start, end, after = (points[(index + shift) % count] for shift in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            result.append(
                (_spline(before[0], start[0], end[0], after[0], t), _spline(before[1], start[1], end[1], after[1], t))
            )
    return result


def _spline(before: float, start: float, end: float, after: float, t: float) -> float:
    return 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
