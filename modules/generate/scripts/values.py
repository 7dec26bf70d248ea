"""How the values of a plot's axis are written: lists, ranges with a step "1-5 (+2)", ranges with a count "1-5 [3]".

`xyz_plot` reads them. Numbers come out as A1111's, with the surprises of its arithmetic: a whole range includes its
end, a range of floats goes one step further where rounding says so, counts are cut off to whole numbers.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

Kind: TypeAlias = Literal["text", "int", "float", "permutation"]

MOST = 10_000
"""Values on one axis."""

_WHOLE = r"\s*([+-]?\s*\d+)\s*"
_REAL = r"\s*([+-]?\s*\d+(?:\.\d*)?)\s*"
_STEPPED = {
    "int": re.compile(rf"{_WHOLE}-{_WHOLE}(?:\(([+-]\d+)\s*\))?\s*"),
    "float": re.compile(rf"{_REAL}-{_REAL}(?:\(([+-]\d+(?:\.\d*)?)\s*\))?\s*"),
}
_COUNTED = {
    "int": re.compile(rf"{_WHOLE}-{_WHOLE}\[(\d+)\s*\]\s*"),
    "float": re.compile(rf"{_REAL}-{_REAL}\[(\d+)\s*\]\s*"),
}


def split(text: str) -> list[str]:
    """Comma-separated values, over all lines, without white space around; quotes keep commas: `a, "b, c"`.

    Raises ValueError for text that is no CSV.
    """
    try:
        rows = list(csv.reader(io.StringIO(text), skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"cannot be read as a list: {error}") from None
    return [value.strip() for value in itertools.chain.from_iterable(rows)]


def join(values: Sequence[str]) -> str:
    """One line of comma-separated values: `split(join(values)) == values` for values without line ends."""
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().strip()


def expand(values: Sequence[str], kind: Kind) -> list[Any]:
    """What the written values stand for; of numbers, empty ones say nothing. Raises ValueError naming the value.

    "permutation" gives a tuple for every order of the values.
    """
    if kind == "text":
        return list(values)
    if kind == "permutation":
        if math.factorial(min(len(values), 20)) > MOST:
            raise ValueError(f"have too many orders: {len(values)} values, at most 7 are possible")
        return list(itertools.permutations(values))
    found = list(itertools.chain.from_iterable(_numbers(value, kind) for value in values if value.strip()))
    return [_limited(number) for number in found]


def _numbers(value: str, kind: Literal["int", "float"]) -> list[Any]:
    make: Callable[[Any], Any] = int if kind == "int" else float
    if found := _STEPPED[kind].fullmatch(value):
        start, end, step = (make(_bare(text)) for text in (found[1], found[2], found[3] or "1"))
        return _range(value, start, end, step, kind)
    if found := _COUNTED[kind].fullmatch(value):
        start, end, count = make(_bare(found[1])), make(_bare(found[2])), int(found[3])
        _refuse_many(value, count)
        spaced: list[float] = np.linspace(start=start, stop=end, num=count).tolist()
        return [make(number) for number in spaced]
    try:
        return [make(value)]
    except ValueError:
        what = "a whole number" if kind == "int" else "a number"
        raise ValueError(
            f'hold "{value[:60]}", which is not {what}, nor a range such as 1-5, 1-9 (+2), 1-10 [4]'
        ) from None


def _range(value: str, start: Any, end: Any, step: Any, kind: Kind) -> list[Any]:
    if step == 0:
        raise ValueError(f'hold "{value}", whose step is 0')
    _refuse_many(value, (end - start) / step)
    if kind == "int":
        return list(range(start, end + 1, step))
    spaced: list[float] = np.arange(start, end + step, step).tolist()
    return spaced


def _bare(text: str) -> str:
    """Without the white space that may stand between a sign and its number."""
    return "".join(text.split())


def _refuse_many(value: str, count: float) -> None:
    if count > MOST:
        raise ValueError(f'hold "{value}", which is more than {MOST} values')


def _limited(number: Any) -> Any:
    if not abs(number) < 2**64:
        raise ValueError(f"hold a number that is too large or none: {str(number)[:30]}")
    return number
