"""Where things stand: places in the picture, sizes, grounds, times of day, styles, each with how often it comes."""

from __future__ import annotations

from modules.training.painter.colours import Colour, mix

PLACES: dict[str, tuple[int, tuple[float, float]]] = {
    "middle": (6, (0.5, 0.52)),
    "left": (2, (0.25, 0.52)),
    "right": (2, (0.75, 0.52)),
    "top": (2, (0.5, 0.25)),
    "bottom": (2, (0.5, 0.77)),
}
"""Name -> weight, middle (x, y) in shares of the picture."""

RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
"""Where the first of two things is, seen from the second."""

SIZES = {"small": (0.155, 0.18), "medium": (0.22, 0.26), "large": (0.33, 0.39)}
"""Half size of a thing in shares of the picture. At 128 pixels what is less than four cells of the latents wide (a half
size of 0.125) is lost in them: of such things this VAE showed two thirds so that they could be told.
"""

STYLES = {"flat": 10, "outline": 3, "pixel art": 3, "watercolor": 3}
TIMES = {"day": 6, "sunset": 3, "night": 3}
GROUNDS = {"plain": 6, "sea": 3, "meadow": 3, "desert": 2, "snow": 2}

HORIZON = 0.6
"""Where sky ends and ground begins, in shares of the picture from the top."""

_SKY: dict[str, tuple[Colour, Colour]] = {
    "day": ((120, 184, 236), (206, 230, 246)),
    "sunset": ((214, 104, 110), (252, 196, 128)),
    "night": ((14, 18, 52), (38, 44, 96)),
}
_LAND: dict[str, Colour] = {
    "sea": (44, 112, 170),
    "meadow": (118, 184, 92),
    "desert": (226, 190, 126),
    "snow": (238, 244, 250),
}
_LIGHT: dict[str, tuple[Colour, float]] = {
    "day": ((255, 255, 255), 0.0),
    "sunset": ((210, 90, 70), 0.28),
    "night": ((10, 14, 48), 0.6),
}
PLAIN: tuple[Colour, ...] = ((252, 252, 252), (244, 232, 208), (208, 226, 244), (222, 240, 216), (60, 64, 76))
"""Backgrounds without a horizon; which one a scene has follows from its seed."""
PAPER: Colour = (250, 248, 240)
DIM = {"day": 0.0, "sunset": 0.06, "night": 0.14}
"""How much darker a thing looks at a time of day."""


def plain(seed: int) -> Colour:
    """The plain background of a scene."""
    return PLAIN[seed % len(PLAIN)]


def sky(time: str, height: float) -> Colour:
    """The sky at a height, 0 (top) .. 1 (horizon)."""
    top, low = _SKY[time]
    return mix(top, low, height)


def land(ground: str, time: str) -> Colour:
    """The ground in the light of a time of day."""
    light, share = _LIGHT[time]
    return mix(_LAND[ground], light, share)


def background(ground: str, time: str, style: str, y: float, seed: int = 0) -> Colour:
    """The colour behind a thing whose middle is at height y (0..1)."""
    if style == "outline":
        return PAPER if time != "night" else sky("night", 0.5)
    if ground == "plain":
        return plain(seed)
    return sky(time, y / HORIZON) if y < HORIZON else land(ground, time)
