"""Templates of prompts: `__file__` and `{one|of|these}`, resolved by a random generator that is passed in.

    {a|b|c}          one of them; {0.5::a|2::b} by weight
    {2$$a|b|c}       two different ones, joined by ", "; {1-3$$ and $$a|b|c} one to three, joined by " and "
    __name__         a line of name.txt; __folder/name__, and * for any part of a name
Both stand in each other to any depth. What is none of this (braces without a bar, an unknown file) stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Lines = Callable[[str], Sequence[str]]
"""A wildcard's name -> the lines to choose from, none where there is no such file."""

DEEPEST = 20
"""Of files in files: one that names itself ends there."""
LONGEST = 20_000
"""Characters of a prompt."""
_FILE = re.compile(r"__([^\s_{}|](?:[^\s{}|]*?[^\s_{}|])?)__")
_INNERMOST = re.compile(r"(?<!\\)\{([^{}]*)\}")
_COUNT = re.compile(r"(\d+)?(-)?(\d+)?\$\$")
_WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?)::")
_KEPT = {"{": "\ue000", "}": "\ue001"}
"""Braces that stay, while others are looked for."""


def resolved(template: str, lines: Lines, random: Random) -> str:
    """The prompt that a template makes. Raises ValueError for one that never ends."""
    text = template
    for _ in range(DEEPEST):
        before, text = text, _round(text, lines, random)
        if len(text) > LONGEST:
            raise ValueError(f"makes a prompt of more than {LONGEST} characters")
        if text == before:
            return text
    raise ValueError(f"goes on after {DEEPEST} rounds: some file names itself")


def is_template(text: str) -> bool:
    """Whether there is anything that could be resolved."""
    return bool(_FILE.search(text)) or any(_chooses(found[1]) for found in _INNERMOST.finditer(text))


def unknown(text: str) -> list[str]:
    """Names of files that are still in a resolved text: there are none of these names."""
    return list(dict.fromkeys(found[1] for found in _FILE.finditer(text)))


def _round(text: str, lines: Lines, random: Random) -> str:
    """All choices in braces, inner ones first, then every file once."""
    while found := _INNERMOST.search(text):
        inner = found[1]
        new = _chosen(inner, random) if _chooses(inner) else f"{_KEPT['{']}{inner}{_KEPT['}']}"
        text = text[: found.start()] + new + text[found.end() :]
    for brace, kept in _KEPT.items():
        text = text.replace(kept, brace)

    def line(found: re.Match[str]) -> str:
        offered = lines(found[1])
        return random.choice(offered) if offered else found[0]

    return _FILE.sub(line, text)


def _chooses(inner: str) -> bool:
    return "|" in inner or _COUNT.match(inner) is not None


def _chosen(inner: str, random: Random) -> str:
    """What comes in the place of {inner}."""
    least = most = 1
    joint = ", "
    if count := _COUNT.match(inner):
        inner = inner[count.end() :]
        if "$$" in inner:
            joint, inner = inner.split("$$", 1)
        least, most = _range(count, inner.count("|") + 1)
    options = [_weighed(option) for option in inner.split("|")]
    wanted = min(random.randint(least, most), len(options))
    picked = []
    for _ in range(wanted):
        weights = [weight for weight, _ in options]
        if not any(weights):
            break
        place = random.choices(range(len(options)), weights)[0]
        picked.append(options.pop(place)[1])
    return joint.join(picked)


def _range(count: re.Match[str], offered: int) -> tuple[int, int]:
    """How many, at least and at most: "2$$", "1-3$$", "-2$$", "2-$$"."""
    first, to, last = count[1], count[2], count[3]
    if to is None:
        number = int(first or last or 1)
        return number, number
    least, most = int(first or 0), int(last) if last else offered
    return min(least, most), max(least, most)


def _weighed(option: str) -> tuple[float, str]:
    weight = _WEIGHT.match(option)
    return (float(weight[1]), option[weight.end() :]) if weight else (1.0, option)
