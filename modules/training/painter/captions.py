"""What people would write about a scene: sentences and tags, terse and wordy, never twice the same way.

A caption tells some facts and leaves out others; `Caption.told` says which, so that nobody is tested on what was not
asked for.
"""

from __future__ import annotations

import dataclasses
import random

from modules.training.painter import colours, things
from modules.training.painter.scene import Scene, Thing

FACTS = ("colour", "size", "place", "count", "ground", "backdrop", "time", "style", "relation")
"""What a caption may leave out; the thing is always told. backdrop: the colour of a plain background."""

_TOLD, _COLOURED = 0.75, 0.94
"""Shares of captions that tell a fact, and the colours."""

_SIZE = {"small": ("small", "tiny", "little"), "medium": ("",), "large": ("large", "big", "huge", "giant")}
_PLACE = {
    "middle": ("in the middle", "in the center", "centered"),
    "left": ("on the left", "on the left side", "to the left"),
    "right": ("on the right", "on the right side", "to the right"),
    "top": ("at the top", "in the upper part", "above"),
    "bottom": ("at the bottom", "in the lower part", "below"),
}
_RELATION = {
    "left of": ("to the left of", "left of", "on the left of"),
    "right of": ("to the right of", "right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}
_GROUND = {
    "plain": ("on a plain background", "on a simple background", "", ""),
    "sea": ("on the sea", "on a blue sea", "by the ocean", "over the water"),
    "meadow": ("on a meadow", "on green grass", "in a green field"),
    "desert": ("in the desert", "on the sand", "on a sandy plain"),
    "snow": ("in the snow", "in a snowy landscape", "on a white winter field"),
}
PLAIN = ("white", "beige", "pale blue", "pale green", "dark gray")
"""The plain backgrounds in the order of `places.PLAIN`, as captions call them."""
_TIME = {
    "day": ("in daylight", "by day", "on a clear day"),
    "sunset": ("at sunset", "in the evening", "at dusk", "with an orange sky"),
    "night": ("at night", "under the stars", "in the dark", "on a starry night"),
}
_STYLE = {
    "flat": ("flat design of", "a simple illustration of", "vector art of", "flat"),
    "outline": ("a line drawing of", "an outline drawing of", "line art of", "outline"),
    "pixel art": ("pixel art of", "a pixelated picture of", "8-bit art of", "pixel art"),
    "watercolor": ("a watercolor of", "a watercolor painting of", "an aquarelle of", "watercolor"),
}
_PREFIX = ("a picture of", "an image of", "a drawing of", "an illustration of", "")
_EXTRAS = ("high quality", "detailed", "masterpiece", "beautiful", "best quality", "cute", "minimalist", "artwork")
_COUNT = {2: ("two", "two", "2", "a pair of"), 3: ("three", "three", "3")}
_TAG_COUNT = {1: ("1", "one", "single"), 2: ("2", "two"), 3: ("3", "three")}


@dataclasses.dataclass(frozen=True)
class Caption:
    """text, and which of FACTS it tells."""

    text: str
    told: frozenset[str]


def caption(scene: Scene, dice: random.Random, *, everything: bool = False) -> Caption:
    """A caption for a scene. everything: a sentence that tells all that can be told."""
    told = {fact for fact in FACTS if everything or dice.random() < (_COLOURED if fact == "colour" else _TOLD)}
    told -= {"backdrop"}  # `_ground` decides
    told -= {"place", "size", "count"} if scene.relation else {"relation"}
    if any(thing.count > 1 for thing in scene.things):  # "red boats" without a number would say neither
        told |= {"count"}
    if scene.ground == "plain":  # there is no time of day without a sky
        told -= {"time"}
    if not everything and dice.random() < 0.3:
        return Caption(_tags(scene, told, dice), frozenset(told - {"relation"}))
    return Caption(_sentence(scene, told, dice), frozenset(told))


def _sentence(scene: Scene, told: set[str], dice: random.Random) -> str:
    style = dice.choice(_STYLE[scene.style][:-1]) if "style" in told else dice.choice(_PREFIX)
    subject = _noun(scene.things[0], told, dice)
    if scene.relation and "relation" in told:
        subject += f" {dice.choice(_RELATION[scene.relation])} {_noun(scene.things[1], told, dice)}"
    elif scene.relation:
        subject += f" {dice.choice(('and', 'with', 'next to'))} {_noun(scene.things[1], told, dice)}"
    where = [dice.choice(_PLACE[scene.things[0].place])] if "place" in told else []
    where += [_ground(scene, told, dice)] if "ground" in told else []
    where += [dice.choice(_TIME[scene.time])] if "time" in told else []
    if dice.random() < 0.3:
        dice.shuffle(where)
    text = " ".join(part for part in (style, subject, *where) if part)
    return f"{text}, {dice.choice(_EXTRAS)}" if dice.random() < 0.15 else text


def _tags(scene: Scene, told: set[str], dice: random.Random) -> str:
    tags = []
    for thing in scene.things:
        amount = dice.choice(_TAG_COUNT[thing.count]) if "count" in told else ""
        tags.append(_joined(amount, _size(thing, told, dice), _colour(thing, told, dice), _name(thing, dice)))
    tags += [dice.choice(_PLACE[scene.things[0].place])] if "place" in told else []
    tags += [_ground(scene, told, dice).split(" ", 1)[-1]] if "ground" in told else []
    tags += [dice.choice(_TIME[scene.time]).split(" ", 1)[-1]] if "time" in told else []
    tags += [_STYLE[scene.style][-1]] if "style" in told else []
    tags += dice.sample(_EXTRAS, dice.choice((0, 0, 1, 2)))
    head, *rest = [tag for tag in tags if tag]
    dice.shuffle(rest)
    return ", ".join([head, *rest])


def backdrop(scene: Scene) -> str:
    """What the plain background of a scene is called."""
    return PLAIN[scene.seed % len(PLAIN)]


def _ground(scene: Scene, told: set[str], dice: random.Random) -> str:
    """Where it is; a plain background may go without saying, and is then not told."""
    if scene.ground == "plain" and scene.style != "outline" and dice.random() < 0.4:
        told.add("backdrop")
        return f"on a {backdrop(scene)} background"
    phrase = dice.choice(_GROUND[scene.ground])
    if not phrase:
        told.discard("ground")
    return phrase


def _noun(thing: Thing, told: set[str], dice: random.Random) -> str:
    words = _joined(_size(thing, told, dice), _colour(thing, told, dice), _name(thing, dice))
    if thing.count > 1:
        return f"{dice.choice(_COUNT[thing.count])} {words}"
    article = "one" if "count" in told and dice.random() < 0.3 else "an" if words[0] in "aeiou" else "a"
    return f"{article} {words}" if dice.random() < 0.9 else words


def _size(thing: Thing, told: set[str], dice: random.Random) -> str:
    return dice.choice(_SIZE[thing.size]) if "size" in told else ""


def _colour(thing: Thing, told: set[str], dice: random.Random) -> str:
    return dice.choice(colours.SYNONYMS[thing.colour]) if "colour" in told else ""


def _name(thing: Thing, dice: random.Random) -> str:
    name = dice.choice(things.SYNONYMS.get(thing.kind, (thing.kind,)))
    return plural(name) if thing.count > 1 else name


def plural(name: str) -> str:
    """ "boat" -> "boats"."""
    head, _, last = name.rpartition(" ")
    return _joined(head, things.PLURALS.get(last, last + ("es" if last.endswith(("s", "sh", "x")) else "s")))


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)
