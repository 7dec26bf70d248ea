"""The colours that things come in, what people call them, and how far apart two colours look."""

from __future__ import annotations

from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]
"""Red, green, blue in 0..255."""

COLOURS: dict[str, Colour] = {
    "red": (214, 40, 40),
    "orange": (245, 130, 32),
    "yellow": (250, 208, 36),
    "green": (50, 160, 70),
    "blue": (38, 90, 205),
    "purple": (128, 56, 180),
    "pink": (246, 130, 182),
    "brown": (130, 82, 44),
    "black": (28, 28, 32),
    "white": (248, 248, 248),
    "gray": (136, 138, 142),
    "turquoise": (36, 190, 186),
}
"""Name -> what it looks like in daylight."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "red", "bright red", "scarlet", "crimson"),
    "orange": ("orange", "orange", "bright orange"),
    "yellow": ("yellow", "yellow", "bright yellow", "lemon yellow"),
    "green": ("green", "green", "green", "emerald green"),
    "blue": ("blue", "blue", "blue", "deep blue", "royal blue"),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink", "pink", "rosy pink"),
    "brown": ("brown", "brown", "chocolate brown"),
    "black": ("black", "black", "jet black"),
    "white": ("white", "white", "snow white"),
    "gray": ("gray", "gray", "grey"),
    "turquoise": ("turquoise", "turquoise", "teal", "cyan"),
}
"""What a caption may call a colour, the usual word most often."""


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """(1 - share) of the first and share (0..1) of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def lightness(colour: Colour) -> float:
    """Perceived lightness 0..1 (the weights of Rec. 601)."""
    red, green, blue = colour
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def distance(first: Colour, second: Colour) -> float:
    """How different two colours look, 0 .. about 765: the "redmean" formula (Riemersma 2019)."""
    mean = (first[0] + second[0]) / 2
    red, green, blue = (a - b for a, b in zip(first, second, strict=True))
    return float(((2 + mean / 256) * red**2 + 4 * green**2 + (2 + (255 - mean) / 256) * blue**2) ** 0.5)
