r"""A1111's emphasis grammar: which words of a prompt count more, which less. `loading.text` calls `parse`.

    (x)  weight x 1.1          [x]  weight / 1.1          (x:1.3)  weight x 1.3; only round brackets take a number
    \( \) \[ \] \\  the character itself; a backslash before anything else disappears
    BREAK  starts a new chunk of 75 tokens: the piece ("BREAK", -1.0)

Nesting multiplies. Brackets that are not closed end with the text; closing ones that were never opened are text.
Round and square brackets are counted apart, so "(a [b) c]" is two overlapping spans. The weights equal A1111's to the
last bit (factors are multiplied in the order in which spans close) as long as a word is in at most 64 brackets. Any
text parses, in linear time.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator

BREAK = "BREAK"

_MORE, _LESS = 1.1, 1 / 1.1
_EXACT_DEPTH = 64  # above, round and square factors are multiplied apart: other last bits, but the time stays linear
_HUGE = 1e30  # weights stay finite in fp32, however deep the nesting

_MARK = re.compile(r"[\\()\[\]:]")
_WEIGHT = re.compile(r":\s*([+-]?[.\d]+)\s*\)")
_BREAK = re.compile(rf"\b{BREAK}\b")


@dataclasses.dataclass(eq=False)
class _Span:
    """An opened bracket. What it multiplies by and when it closes (the number of the closing bracket, infinity for
    the end of the text) is known only later."""

    outer: _Span | None
    factor: float
    closed: float
    depth: int

    @functools.cached_property
    def approximate(self) -> float:
        """This span's factor times all outer ones; asked from the outside in, so the recursion is one call deep."""
        return self.factor * (self.outer.approximate if self.outer else 1.0)


@dataclasses.dataclass(frozen=True)
class _Piece:
    text: str
    start: float  # 1.0; -1.0 marks a BREAK
    round: _Span | None
    square: _Span | None


def parse(text: str) -> list[tuple[str, float]]:
    """Pieces of the prompt with their weights, neighbours of equal weight joined; [("", 1.0)] for an empty prompt.

    A break is ("BREAK", -1.0). Inside brackets its weight is multiplied like any other and it is read as a word, as in
    A1111. Weights are finite, at most 1e30 in size. Raises nothing.
    """
    scanner = _Scanner()
    scanner.scan(text)
    joined: list[tuple[list[str], float]] = []
    for piece, weight in scanner.weighed():
        if joined and joined[-1][1] == weight:
            joined[-1][0].append(piece)
        else:
            joined.append(([piece], weight))
    return [("".join(parts), weight) for parts, weight in joined] or [("", 1.0)]


class _Scanner:
    """One pass over the text; spans get their factor when they close, pieces their weight at the end."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._spans: list[_Span] = []
        self._round: _Span | None = None
        self._square: _Span | None = None
        self._closings = 0

    def scan(self, text: str) -> None:
        position = 0
        while mark := _MARK.search(text, position):
            self._words(text[position : mark.start()])
            position = self._mark(text, mark.start())
        self._words(text[position:])

    def weighed(self) -> Iterator[tuple[str, float]]:
        for span in self._spans:
            _ = span.approximate  # outer spans come first in the list
        for piece in self._pieces:
            yield piece.text, piece.start * _weight(piece.round, piece.square)

    def _mark(self, text: str, at: int) -> int:
        """Deal with the mark at this index -> index of what follows it."""
        match text[at]:
            case "\\":
                return self._escape(text, at)
            case "(":
                self._round = self._open(self._round, _MORE)
            case "[":
                self._square = self._open(self._square, _LESS)
            case ")" if self._round:
                self._round = self._close(self._round, _MORE)
            case "]" if self._square:
                self._square = self._close(self._square, _LESS)
            case ":":
                return self._colon(text, at)
            case other:
                self._add(other)
        return at + 1

    def _escape(self, text: str, at: int) -> int:
        following = text[at + 1 : at + 2]
        if following and following in "()[]\\":
            self._add(following)
            return at + 2
        self._add("")
        return at + 1

    def _colon(self, text: str, at: int) -> int:
        found = _WEIGHT.match(text, at)
        factor = _number(found[1]) if found else None
        if found is None or factor is None:
            self._add(":")
            return at + 1
        if self._round is None:
            self._words(found[0])
        else:
            self._round = self._close(self._round, factor)
        return found.end()

    def _open(self, outer: _Span | None, factor: float) -> _Span:
        span = _Span(outer, factor, math.inf, outer.depth + 1 if outer else 1)
        self._spans.append(span)
        return span

    def _close(self, span: _Span, factor: float) -> _Span | None:
        self._closings += 1
        span.factor, span.closed = factor, self._closings
        return span.outer

    def _words(self, text: str) -> None:
        if not text:
            return
        parts = _BREAK.split(text)
        last = len(parts) - 1
        for index, part in enumerate(parts):
            if index > 0:
                self._add(BREAK, -1.0)
                part = part.lstrip()
            self._add(part if index == last else part.rstrip())

    def _add(self, text: str, start: float = 1.0) -> None:
        self._pieces.append(_Piece(text, start, self._round, self._square))


def _number(text: str) -> float | None:
    """ "1.3" -> 1.3; None for what looks like a number to the grammar but is none, such as "1.2.3"."""
    try:
        return float(text)
    except ValueError:
        return None


def _weight(round_: _Span | None, square: _Span | None) -> float:
    depth = (round_.depth if round_ else 0) + (square.depth if square else 0)
    if depth == 0:
        return 1.0
    if depth > _EXACT_DEPTH:
        return _bounded(span.approximate for span in (round_, square) if span)
    # sorted() is stable and round spans come first: so do they among spans that the end of the text closes
    spans = sorted(itertools.chain(_outwards(round_), _outwards(square)), key=lambda span: span.closed)
    return _bounded(span.factor for span in spans)


def _outwards(span: _Span | None) -> Iterator[_Span]:
    while span:
        yield span
        span = span.outer


def _bounded(factors: Iterable[float]) -> float:
    weight = math.prod(factors)
    if math.isnan(weight):  # zero times infinity
        return 0.0
    return max(-_HUGE, min(_HUGE, weight))
