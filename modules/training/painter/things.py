"""The things that can be painted: name -> a function that draws it with a pen in the square -1..1.

They differ in outline, not only in detail, so that they can be told apart at 128 x 128 and in one colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from modules.training.painter.pen import Pen, Point, arc

Draw: TypeAlias = Callable[[Pen], None]


def circle(pen: Pen) -> None:
    pen.ellipse(0, 0, 0.9)


def square(pen: Pen) -> None:
    pen.polygon([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)])


def triangle(pen: Pen) -> None:
    pen.polygon([(0, -0.85), (0.95, 0.75), (-0.95, 0.75)])


def diamond(pen: Pen) -> None:
    pen.polygon([(0, 0.95), (-0.95, -0.2), (-0.5, -0.7), (0.5, -0.7), (0.95, -0.2)])
    pen.polygon([(0, 0.95), (-0.35, -0.2), (0.35, -0.2)], "light")
    pen.line([(-0.95, -0.2), (0.95, -0.2)], 0.07, "dark")


def star(pen: Pen) -> None:
    pen.polygon(_rays(5, 1.0, 0.42))


def heart(pen: Pen) -> None:
    angles = [math.tau * step / 48 for step in range(48)]
    pen.polygon(
        [
            (
                math.sin(a) ** 3 * 0.95,
                -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16.5,
            )
            for a in angles
        ]
    )


def house(pen: Pen) -> None:
    pen.polygon([(0.35, -0.85), (0.6, -0.85), (0.6, -0.2), (0.35, -0.2)], "dark")
    pen.polygon([(-0.7, -0.1), (0.7, -0.1), (0.7, 0.9), (-0.7, 0.9)])
    pen.polygon([(0, -0.95), (0.98, -0.05), (-0.98, -0.05)], "dark")
    pen.polygon([(-0.15, 0.35), (0.22, 0.35), (0.22, 0.9), (-0.15, 0.9)], "wood")
    pen.polygon([(0.36, 0.15), (0.58, 0.15), (0.58, 0.42), (0.36, 0.42)], "glass")
    pen.polygon([(-0.55, 0.15), (-0.3, 0.15), (-0.3, 0.42), (-0.55, 0.42)], "glass")


def tree(pen: Pen) -> None:
    pen.polygon([(-0.13, 0.1), (0.13, 0.1), (0.18, 0.97), (-0.18, 0.97)], "wood")
    for x, y, radius in ((-0.42, 0.0, 0.42), (0.42, 0.0, 0.42), (0.0, -0.45, 0.52)):
        pen.ellipse(x, y, radius)
    pen.ellipse(0, -0.1, 0.4)


def flower(pen: Pen) -> None:
    pen.line([(0, 0), (0.03, 0.95)], 0.12, "leaf")
    pen.blob([(0.04, 0.75), (0.3, 0.45), (0.55, 0.5), (0.35, 0.75)], "leaf")
    for step in range(6):
        angle = math.tau * step / 6
        pen.ellipse(0.4 * math.cos(angle), -0.35 + 0.4 * math.sin(angle), 0.25)
    pen.ellipse(0, -0.35, 0.22, tone="flame")


def boat(pen: Pen) -> None:
    pen.line([(0, -0.9), (0, 0.35)], 0.09, "wood")
    pen.polygon([(0.08, -0.9), (0.8, 0.2), (0.08, 0.2)], "light")
    pen.polygon([(-0.08, -0.65), (-0.62, 0.2), (-0.08, 0.2)], "light")
    pen.polygon([(-0.98, 0.35), (0.98, 0.35), (0.62, 0.88), (-0.62, 0.88)])


def fish(pen: Pen) -> None:
    pen.polygon([(0.4, 0.0), (0.98, -0.5), (0.85, 0.0), (0.98, 0.5)], "dark")
    pen.polygon([(-0.25, -0.4), (0.25, -0.72), (0.3, -0.3)], "dark")
    pen.blob([(-0.95, 0.05), (-0.5, -0.42), (0.1, -0.42), (0.6, 0.0), (0.1, 0.42), (-0.5, 0.44)])
    pen.line([(-0.4, -0.28), (-0.3, 0.0), (-0.4, 0.28)], 0.07, "dark")
    pen.dot(-0.65, -0.1, 0.09)


def bird(pen: Pen) -> None:
    pen.polygon([(-0.55, -0.4), (-0.98, -0.25), (-0.58, -0.15)], "flame")
    pen.polygon([(0.4, 0.1), (0.98, -0.3), (0.95, 0.2), (0.55, 0.4)], "dark")
    pen.blob([(-0.45, 0.0), (0.1, -0.15), (0.65, 0.15), (0.3, 0.55), (-0.2, 0.6), (-0.5, 0.35)])
    pen.ellipse(-0.38, -0.3, 0.34)
    pen.blob([(-0.15, 0.05), (0.35, 0.0), (0.6, 0.3), (0.1, 0.35)], "dark")
    pen.line([(-0.05, 0.55), (-0.05, 0.92)], 0.07, "flame")
    pen.line([(0.18, 0.55), (0.18, 0.92)], 0.07, "flame")
    pen.dot(-0.45, -0.38, 0.08)


def cat(pen: Pen) -> None:
    pen.line([(0.4, 0.75), (0.85, 0.65), (0.9, 0.2), (0.7, -0.05)], 0.16)
    pen.blob([(0, -0.05), (0.5, 0.35), (0.52, 0.9), (0, 0.95), (-0.52, 0.9), (-0.5, 0.35)])
    pen.polygon([(-0.48, -0.9), (-0.05, -0.62), (-0.5, -0.25)])
    pen.polygon([(0.48, -0.9), (0.05, -0.62), (0.5, -0.25)])
    pen.ellipse(0, -0.3, 0.52, 0.44)
    pen.dot(-0.2, -0.35, 0.09)
    pen.dot(0.2, -0.35, 0.09)
    pen.polygon([(-0.08, -0.18), (0.08, -0.18), (0, -0.08)], "ink")


def car(pen: Pen) -> None:
    pen.polygon([(-0.5, -0.05), (-0.3, -0.5), (0.32, -0.5), (0.6, -0.05)], "dark")
    pen.polygon([(-0.36, -0.08), (-0.22, -0.4), (0.0, -0.4), (0.0, -0.08)], "glass")
    pen.polygon([(0.07, -0.08), (0.07, -0.4), (0.27, -0.4), (0.45, -0.08)], "glass")
    pen.blob([(-0.95, 0.0), (-0.5, -0.1), (0.6, -0.1), (0.96, 0.1), (0.96, 0.42), (0, 0.45), (-0.96, 0.42)])
    for x in (-0.5, 0.52):
        pen.ellipse(x, 0.45, 0.26, tone="tyre")
        pen.dot(x, 0.45, 0.11, "glass")


def sun(pen: Pen) -> None:
    for step in range(8):
        angle = math.tau * step / 8
        side = angle + 0.2, angle - 0.2
        tip = 0.98 * math.cos(angle), 0.98 * math.sin(angle)
        pen.polygon([tip, *((0.62 * math.cos(a), 0.62 * math.sin(a)) for a in side)])
    pen.ellipse(0, 0, 0.52)


def moon(pen: Pen) -> None:
    outer = arc(0, 0, 0.92, 0.92, 50, 310)
    inner = arc(0.42, 0, 0.72, 0.72, 282, 78)
    pen.polygon([*outer, *inner])


def mountain(pen: Pen) -> None:
    pen.polygon([(0.0, 0.8), (0.52, -0.35), (1.0, 0.8)], "dark")
    pen.polygon([(-1.0, 0.8), (-0.25, -0.85), (0.55, 0.8)])
    pen.polygon([(-0.25, -0.85), (-0.02, -0.38), (-0.17, -0.48), (-0.27, -0.3), (-0.36, -0.46), (-0.47, -0.37)], "skin")


def cloud(pen: Pen) -> None:
    pen.polygon([(-0.7, 0.1), (0.7, 0.1), (0.7, 0.5), (-0.7, 0.5)])
    for x, y, radius in ((-0.65, 0.18, 0.32), (0.66, 0.2, 0.3), (-0.2, -0.12, 0.44), (0.32, -0.02, 0.36)):
        pen.ellipse(x, y, radius)
    pen.ellipse(0, 0.22, 0.5, 0.28)


def cup(pen: Pen) -> None:
    pen.line(arc(0.5, 0.0, 0.36, 0.34, -80, 80), 0.15)
    pen.polygon([(-0.7, -0.55), (0.55, -0.55), (0.42, 0.75), (-0.57, 0.75)])
    pen.ellipse(-0.075, -0.55, 0.62, 0.17, "dark")


def apple(pen: Pen) -> None:
    pen.line([(0.0, -0.45), (0.1, -0.9)], 0.12, "wood")
    pen.blob([(0.1, -0.62), (0.35, -0.95), (0.65, -0.85), (0.4, -0.6)], "leaf")
    pen.blob(
        [
            (0.0, -0.42),
            (0.45, -0.58),
            (0.85, -0.15),
            (0.7, 0.5),
            (0.3, 0.9),
            (0.0, 0.8),
            (-0.3, 0.9),
            (-0.7, 0.5),
            (-0.85, -0.15),
            (-0.45, -0.58),
        ]
    )


def umbrella(pen: Pen) -> None:
    pen.line([(0, -0.2), (0, 0.75), (0.1, 0.9), (0.25, 0.85), (0.28, 0.7)], 0.1, "wood")
    scallops = [point for x in (0.64, 0.0, -0.64) for point in arc(x, 0.0, 0.32, 0.16, 0, -180)]
    pen.polygon([*arc(0, 0.0, 0.96, 0.85, 180, 360), *scallops])
    pen.line([(0, -0.85), (0, -0.97)], 0.1, "dark")


def mushroom(pen: Pen) -> None:
    pen.polygon([(-0.24, 0.0), (0.24, 0.0), (0.34, 0.9), (-0.34, 0.9)], "skin")
    pen.polygon([*arc(0, 0.1, 0.95, 0.95, 180, 360), *arc(0, 0.1, 0.95, 0.16, 0, 180)])
    for x, y, radius in ((-0.45, -0.2, 0.15), (0.1, -0.5, 0.17), (0.5, -0.12, 0.13)):
        pen.dot(x, y, radius, "light")


def butterfly(pen: Pen) -> None:
    for side in (-1, 1):
        pen.blob([(0, 0), (side * 0.35, -0.75), (side * 0.9, -0.8), (side * 0.85, -0.2), (side * 0.3, 0.05)])
        pen.blob([(0, 0.05), (side * 0.6, 0.1), (side * 0.7, 0.6), (side * 0.3, 0.75)], "dark")
        pen.line([(0, -0.4), (side * 0.22, -0.85)], 0.05, "ink")
    pen.ellipse(0, 0.08, 0.1, 0.52, "ink")


def balloon(pen: Pen) -> None:
    pen.line([(0, 0.45), (0.1, 0.65), (-0.06, 0.8), (0.04, 0.98)], 0.05, "ink")
    pen.polygon([(0, 0.35), (0.14, 0.56), (-0.14, 0.56)], "dark")
    pen.ellipse(0, -0.25, 0.58, 0.7)
    pen.dot(-0.22, -0.5, 0.12, "light")


def rocket(pen: Pen) -> None:
    pen.polygon([(-0.2, 0.6), (0, 1.0), (0.2, 0.6)], "flame")
    pen.polygon([(-0.25, 0.1), (-0.6, 0.75), (-0.2, 0.6)], "dark")
    pen.polygon([(0.25, 0.1), (0.6, 0.75), (0.2, 0.6)], "dark")
    pen.blob([(0, -0.98), (0.26, -0.5), (0.3, 0.2), (0.2, 0.65), (-0.2, 0.65), (-0.3, 0.2), (-0.26, -0.5)])
    pen.dot(0, -0.25, 0.14, "glass")


def crown(pen: Pen) -> None:
    pen.polygon([(-0.8, 0.6), (-0.95, -0.45), (-0.42, 0.0), (0, -0.7), (0.42, 0.0), (0.95, -0.45), (0.8, 0.6)])
    pen.polygon([(-0.8, 0.38), (0.8, 0.38), (0.8, 0.62), (-0.8, 0.62)], "dark")
    for x, y in ((-0.95, -0.5), (0, -0.75), (0.95, -0.5)):
        pen.dot(x * 0.96, y, 0.1, "light")


def bell(pen: Pen) -> None:
    pen.ellipse(0, 0.7, 0.17, tone="dark")
    pen.ellipse(0, -0.75, 0.14, tone="dark")
    pen.polygon(
        [(-0.32, -0.5), *arc(0, -0.42, 0.36, 0.36, 180, 360), (0.46, 0.25), (0.82, 0.62), (-0.82, 0.62), (-0.46, 0.25)]
    )


def leaf(pen: Pen) -> None:
    pen.line([(-0.9, 0.9), (-0.45, 0.45)], 0.1, "dark")
    pen.blob([(-0.55, 0.55), (-0.6, -0.1), (0.0, -0.7), (0.9, -0.9), (0.75, 0.0), (0.1, 0.6)])
    pen.line([(-0.5, 0.5), (0.65, -0.65)], 0.06, "dark")


def _rays(count: int, outer: float, inner: float) -> list[Point]:
    return [
        (radius * math.sin(angle), -radius * math.cos(angle))
        for step in range(count * 2)
        for angle, radius in [(math.pi * step / count, inner if step % 2 else outer)]
    ]


THINGS: dict[str, Draw] = {
    draw.__name__: draw
    for draw in (
        circle, square, triangle, diamond, star, heart, house, tree, flower, boat, fish, bird, cat, car, sun, moon,
        mountain, cloud, cup, apple, umbrella, mushroom, butterfly, balloon, rocket, crown, bell, leaf,
    )
}  # fmt: skip

SYNONYMS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "disc", "ball"),
    "diamond": ("diamond", "diamond", "gem"),
    "house": ("house", "house", "cottage", "little home"),
    "flower": ("flower", "flower", "blossom", "daisy"),
    "boat": ("boat", "boat", "sailboat", "ship"),
    "cat": ("cat", "cat", "kitten", "kitty"),
    "car": ("car", "car", "automobile"),
    "moon": ("moon", "moon", "crescent moon"),
    "cup": ("cup", "cup", "mug"),
    "balloon": ("balloon",),
    "umbrella": ("umbrella", "umbrella", "parasol"),
    "rocket": ("rocket", "rocket", "spaceship"),
    "mushroom": ("mushroom", "mushroom", "toadstool"),
}
"""What a caption may call a thing; others only have their own name."""

PLURALS = {
    "fish": "fish",
    "leaf": "leaves",
    "butterfly": "butterflies",
    "daisy": "daisies",
    "kitty": "kitties",
}
"""Words whose plural is not made with s."""

MIRRORED = frozenset({"boat", "fish", "bird", "cat", "car", "moon", "mountain", "cup", "apple", "leaf", "rocket"})
"""Things that may also look the other way."""
