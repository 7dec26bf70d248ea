"""What is in a picture, as a record: drawn from a seed, complete enough to paint the same picture again.

Some pairs of thing and colour are never drawn unless asked for (`held_out`): they measure whether a model has learnt
things and colours apart from each other.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import TypeVar

from modules.training.painter.colours import COLOURS, Colour, distance
from modules.training.painter.places import GROUNDS, PLACES, RELATIONS, SIZES, STYLES, TIMES, background
from modules.training.painter.things import THINGS

Choice = TypeVar("Choice")

CONTRAST = 150.0
"""How far (`colours.distance`) the colour of a thing must be from what lies behind it."""

_SHRINK = {1: 1.0, 2: 0.85, 3: 0.6}
"""Count -> size of each as a share of that of a single one: three in a row still fit."""
_CLUSTER = {1: ((0.0, 0.0),), 2: ((-1.1, 0.18), (1.1, -0.18)), 3: ((-1.3, 0.6), (0.0, -0.95), (1.3, 0.6))}
_ROW = {1: ((0.0, 0.0),), 2: ((-1.1, 0.0), (1.1, 0.0)), 3: ((-2.15, 0.0), (0.0, 0.0), (2.15, 0.0))}
_COLUMN = {count: tuple((y, x) for x, y in spots) for count, spots in _ROW.items()}
_SPREAD = {"left": _COLUMN, "right": _COLUMN, "top": _ROW, "bottom": _ROW, "middle": _CLUSTER, "": _CLUSTER}
"""Place -> count -> where the single ones of a group stand, in units of their half size: a group keeps to its place."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thing:
    """kind: of THINGS; colour: of COLOURS; size: of SIZES; place: of PLACES ("" in a scene of two); count 1-3.

    x, y: middle of the group, radius: of a single one, all in shares of the picture; turn in radians.
    """

    kind: str
    colour: str
    size: str
    place: str
    count: int
    x: float
    y: float
    radius: float
    turn: float = 0.0
    mirrored: bool = False

    def spots(self) -> list[tuple[float, float]]:
        """Where each single one is, in shares of the picture."""
        spread = _SPREAD[self.place][self.count]
        return [(self.x + dx * self.radius, self.y + dy * self.radius) for dx, dy in spread]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """One or two things before a ground at a time of day, in a style. relation: of the first to the second thing.

    seed also sets what has no name: stars, texture, shades of the background.
    """

    seed: int
    things: tuple[Thing, ...]
    ground: str
    time: str
    style: str
    relation: str = ""

    def behind(self, thing: Thing) -> Colour:
        """The colour of the background where a thing stands."""
        return background(self.ground, self.time, self.style, thing.y, self.seed)


def held_out(kind: str, colour: str) -> bool:
    """Whether this pair is kept out of training: every fourteenth. Each colour lacks two kinds, each kind one colour at
    most: with two neighbours missing (blue and turquoise) nothing would say between what a third lies.
    """
    return (3 * list(THINGS).index(kind) + 5 * list(COLOURS).index(colour)) % 14 == 0


def unseen() -> list[tuple[str, str]]:
    """All pairs (kind, colour) that training never shows."""
    return [(kind, colour) for kind in THINGS for colour in COLOURS if held_out(kind, colour)]


def draw(seed: int, *, pair: tuple[str, str] | None = None, place: str | None = None, simple: bool = False) -> Scene:
    """The scene of a seed. pair: (kind, colour) of the first thing, even a held-out one; simple: one thing, once, flat.

    Without pair no held-out pair comes up.
    """
    dice = random.Random(f"scene {seed}")
    for _ in range(1000):
        scene = _attempt(seed, dice, pair, place, simple)
        if all(distance(COLOURS[each.colour], scene.behind(each)) >= CONTRAST for each in scene.things):
            return scene
    raise AssertionError(f"no scene for seed {seed}: {pair} does not stand out anywhere")


def _attempt(seed: int, dice: random.Random, pair: tuple[str, str] | None, place: str | None, simple: bool) -> Scene:
    style = "flat" if simple else _weighted(dice, STYLES)
    ground, time = _weighted(dice, GROUNDS), _weighted(dice, TIMES)
    if ground == "plain":
        time = "day"
    if not simple and place is None and dice.random() < 0.25:
        things, relation = _two(dice, pair)
    else:
        things, relation = (_one(dice, pair, place, 1 if simple else _weighted(dice, {1: 6, 2: 2, 3: 2})),), ""
    return Scene(seed=seed, things=things, ground=ground, time=time, style=style, relation=relation)


def _one(dice: random.Random, pair: tuple[str, str] | None, place: str | None, count: int) -> Thing:
    kind, colour = pair or _pair(dice)
    where = place or _weighted(dice, {name: weight for name, (weight, _) in PLACES.items()})
    large = count == 1 and where == "middle"
    size = _weighted(dice, {"small": 3 if count < 3 else 0, "medium": 5, "large": 5 if large else 0})
    x, y = PLACES[where][1]
    radius = dice.uniform(*SIZES[size]) * _SHRINK[count]
    wide, high = (1 + max(abs(spot[axis]) for spot in _SPREAD[where][count]) for axis in (0, 1))
    x = _inside(x + dice.uniform(-0.04, 0.04), wide * radius)
    y = _inside(y + dice.uniform(-0.04, 0.04), high * radius)
    return _thing(dice, kind, colour, size, where, count, x, y, radius)


def _two(dice: random.Random, pair: tuple[str, str] | None) -> tuple[tuple[Thing, ...], str]:
    relation = dice.choice(list(RELATIONS))
    dx, dy = RELATIONS[relation]
    first = pair or _pair(dice)
    second = _pair(dice)
    while second[0] == first[0] or second[1] == first[1]:
        second = _pair(dice)
    things = []
    for (kind, colour), side in ((first, 1), (second, -1)):
        x, y = (0.5 + side * shift * dice.uniform(0.21, 0.25) + dice.uniform(-0.03, 0.03) for shift in (dx, dy))
        things.append(_thing(dice, kind, colour, "medium", "", 1, x, y, dice.uniform(0.17, 0.21)))
    return tuple(things), relation


def _thing(
    dice: random.Random, kind: str, colour: str, size: str, place: str, count: int, x: float, y: float, radius: float
) -> Thing:
    turn, mirrored = dice.uniform(-0.12, 0.12), dice.random() < 0.5
    return Thing(
        kind=kind, colour=colour, size=size, place=place, count=count, x=x, y=y, radius=radius, turn=turn,
        mirrored=mirrored,
    )  # fmt: skip


def _pair(dice: random.Random) -> tuple[str, str]:
    while True:
        kind, colour = dice.choice(list(THINGS)), dice.choice(list(COLOURS))
        if not held_out(kind, colour):
            return kind, colour


def _inside(centre: float, reach: float) -> float:
    margin = min(reach + 0.02, 0.5)
    return min(max(centre, margin), 1 - margin)


def _weighted(dice: random.Random, weights: dict[Choice, int]) -> Choice:
    names: Sequence[Choice] = list(weights)
    return dice.choices(names, [weights[name] for name in names])[0]
