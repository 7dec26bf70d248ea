"""How a prompt and a text of ratios part a picture. Runs without torch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from modules.core.errors import BadRequest

FIELD = "Regional prompting"
_KEYWORD = re.compile(r"\s*\b(BREAK|ADDCOL|ADDROW|ADDBASE|ADDCOMM)\b\s*")
_TAG = re.compile(r"<[^<>:]+:[^<>]*>")


@dataclasses.dataclass(frozen=True)
class Region:
    """A rectangle in shares of the picture's sides, 0..1: ends are the next one's beginnings."""

    top: float
    bottom: float
    left: float
    right: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parted:
    """A prompt's parts. base: for the whole picture, None: there is none; texts: of the regions, with common words."""

    base: str | None
    texts: tuple[str, ...]
    regions: tuple[Region, ...]

    @property
    def joined(self) -> str:
        """All of them as prompts that AND joins, the base first."""
        return " AND ".join(text or " " for text in ((self.base,) if self.base is not None else ()) + self.texts)


def parted(prompt: str, values: Mapping[str, Any]) -> Parted | None:
    """The parts of a prompt; None: it names no regions. Raises BadRequest where parts and ratios do not fit."""
    pieces = _KEYWORD.split(prompt.strip())
    texts, words = [piece.strip() for piece in pieces[::2]], pieces[1::2]
    if not words:
        return None
    if re.search(r"\bAND\b", prompt):
        message = f"{FIELD}: AND joins prompts over the whole picture and cannot be used beside regions."
        raise BadRequest(message, field=FIELD)
    base, texts, words = _taken(texts, words, "ADDBASE", wanted=values["base"])
    common, texts, words = _taken(texts, words, "ADDCOMM", wanted=values["common"])
    if common:
        copies = (common, *[_TAG.sub("", common).strip()] * (len(texts) - 1))
        texts = [", ".join(part for part in (copy, text) if part) for copy, text in zip(copies, texts, strict=True)]
    found = layout(values["ratios"], values["divide"])
    if len(found) != len(texts) and {"ADDCOL", "ADDROW"} & set(words):
        found = _even(words)
    if len(found) != len(texts):
        message = (
            f'{FIELD}: the ratios "{values["ratios"]}" make {len(found)} regions, the prompt has {len(texts)} parts. '
            "Part it by BREAK, or change the ratios."
        )
        raise BadRequest(message, field=FIELD)
    return Parted(base=base, texts=tuple(texts), regions=found)


def layout(ratios: str, divide: str) -> tuple[Region, ...]:
    """ "1,2" -> that many columns (or rows); "1,2,1;2,1" -> a row of height 1 with columns 2:1, one of height 2 with a
    single column; with rows, the other way round. Raises BadRequest.
    """
    lines = [_numbers(line) for line in ratios.split(";") if line.strip()]
    if not lines:
        raise BadRequest(f"{FIELD}: give ratios such as 1,1.", field=FIELD)
    whole = [(1.0, lines[0])] if len(lines) == 1 else [(line[0], line[1:] or [1.0]) for line in lines]
    return _rectangles(whole, columns=divide == "Columns")


def _rectangles(lines: list[tuple[float, list[float]]], *, columns: bool) -> tuple[Region, ...]:
    """lines: (thickness, lengths of its cells). columns: lines lie one below the other."""
    found = []
    for (start, end), (_, cells) in zip(_shares([thick for thick, _ in lines]), lines, strict=True):
        for first, last in _shares(cells):
            found.append(Region(start, end, first, last) if columns else Region(first, last, start, end))
    return tuple(found)


def _even(words: list[str]) -> tuple[Region, ...]:
    """Rows of columns of the same size, as ADDROW and ADDCOL (or BREAK) say."""
    counts = [1]
    for word in words:
        if word == "ADDROW":
            counts.append(1)
        else:
            counts[-1] += 1
    return _rectangles([(1.0, [1.0] * count) for count in counts], columns=True)


def _shares(lengths: list[float]) -> list[tuple[float, float]]:
    total, ends = sum(lengths), [0.0]
    for length in lengths:
        ends.append(ends[-1] + length / total)
    ends[-1] = 1.0
    return list(zip(ends, ends[1:], strict=False))  # noqa: RUF007  (a list of pairs)


def _numbers(line: str) -> list[float]:
    try:
        found = [float(part) for part in line.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found or not all(0 < each < 1e6 for each in found):
        raise BadRequest(f'{FIELD}: "{line}" are no ratios; give numbers above 0, such as 1,2,1.', field=FIELD)
    return found


def _taken(texts: list[str], words: list[str], word: str, *, wanted: bool) -> tuple[str | None, list[str], list[str]]:
    """(the first part where the keyword follows it or `wanted`, the other parts, the keywords between those)."""
    if word in words:
        place = words.index(word)
        if place:
            raise BadRequest(f"{FIELD}: {word} stands behind the first part of a prompt.", field=FIELD)
    elif not wanted or len(texts) < 2:
        return None, texts, words
    return texts[0], texts[1:], words[1:]
