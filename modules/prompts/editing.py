r"""Prompts that change while a picture is made, and prompts made of several: A1111's grammar.

    [a:b:n]  a until n, b after it      [a:n]  a from n on      [a::n]  a until n
    [a|b|c]  a, b, c, a, … in turn; choices may be empty
    a :1.2 AND b :-0.3  several prompts with weights

n is a number of steps, or with a decimal point a fraction of all of them. All of it nests, also in round brackets,
which stay in the text for `emphasis`. `\[`, `\|`, `\:` and the like are plain text. A bracket that does not fit is
plain text; a "|" that belongs to no `[…]`, or a backslash with nothing to escape, makes the whole prompt plain text.
The results are those of A1111's parser where that has one answer: for an edit with a bracket or colon that fits
nowhere right behind it ("[a:b:3])") its answer changes from start to start; here it is an edit.
Any text parses, in linear time. `generate` calls `schedule` and `subprompts`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator
from typing import TypeAlias

HUGE = 1e30
"""Weights are at most this large, so that they stay finite in fp32."""

Tree: TypeAlias = tuple["str | Edit | Alternation", ...]
"""Pieces of a prompt in order; texts are not empty and never stand side by side."""


@dataclasses.dataclass(frozen=True)
class Edit:
    """`[before:after:when]`; before is None in `[after:when]`. when: the number as written, with blanks around it."""

    before: Tree | None
    after: Tree
    when: str


@dataclasses.dataclass(frozen=True)
class Alternation:
    """`[a|b|…]`, two choices or more."""

    choices: tuple[Tree, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timeline:
    """What numbers in edits count. steps: model calls of the pass (1..); earlier: those of the passes before it.

    old: A1111's rule before 1.6: below 1 a fraction, else a step, and no difference between the passes.
    """

    steps: int
    earlier: int | None = None
    old: bool = False

    def last(self, when: str) -> int:
        """The last step of an edit's first text: below 1 = it never shows, at most `steps`.

        In a second pass the numbers go on: fractions count from 1.0, steps from the first pass's last.
        """
        number = float(when)
        second = self.earlier is not None and not self.old
        if number < 1 if self.old else "." in when:
            number = (number - second) * self.steps
        elif second:
            number -= self.earlier or 0
        return int(max(-1.0, min(float(self.steps), number)))


def schedule(text: str, timeline: Timeline) -> tuple[tuple[int, str], ...]:
    """(last step, text) in order, steps from 1 and the last one `timeline.steps`: A1111's prompt schedule.

    Neighbours may have the same text: "Original" emphasis takes its mean over all entries. Raises nothing.
    """
    return _schedule(text, timeline)


@functools.lru_cache(maxsize=64)
def _schedule(text: str, timeline: Timeline) -> tuple[tuple[int, str], ...]:
    tree = parse(text)
    ends = {timeline.steps}
    for node in _nodes(tree):
        if isinstance(node, Alternation):
            ends.update(range(1, timeline.steps + 1))
            break
        ends.add(timeline.last(node.when))
    return tuple((end, text_at(tree, end, timeline)) for end in sorted(ends) if end >= 1)


def text_at(tree: Tree, step: int, timeline: Timeline) -> str:
    """The prompt as it reads at a step (1..)."""
    written: list[str] = []
    pending = [iter(tree)]
    while pending:
        match next(pending[-1], None):
            case None:
                pending.pop()
            case str(words):
                written.append(words)
            case Edit(before, after, when):
                pending.append(iter((before or ()) if step <= timeline.last(when) else after))
            case Alternation(choices):
                pending.append(iter(choices[(step - 1) % len(choices)]))
    return "".join(written)


def write(tree: Tree) -> str:
    """The prompt of a tree: `write(parse(text)) == text`."""
    written: list[str] = []
    pending: list[Iterator[str | Edit | Alternation]] = [iter(tree)]
    while pending:
        match next(pending[-1], None):
            case None:
                pending.pop()
            case str(words):
                written.append(words)
            case Edit(before, after, when):
                first = () if before is None else (*before, ":")
                pending.append(iter(("[", *first, *after, f":{when}]")))
            case Alternation(choices):
                rest = itertools.chain.from_iterable(("|", *choice) for choice in choices[1:])
                pending.append(iter(("[", *choices[0], *rest, "]")))
    return "".join(written)


def parse(text: str) -> Tree:
    """The tree of a prompt. Raises nothing."""
    if "[" not in text:
        return (text,) if text else ()
    pieces = _PIECE.findall(text)
    groups = _groups(pieces) if sum(map(len, pieces)) == len(text) else {}
    return _built(pieces, groups) if groups else (text,)


def _nodes(tree: Tree) -> Iterator[Edit | Alternation]:
    pending = [tree]
    while pending:
        for node in pending.pop():
            match node:
                case Edit(before, after, _):
                    pending += (before or (), after)
                    yield node
                case Alternation(choices):
                    pending += choices
                    yield node


_PIECE = re.compile(r"(?:[^\\\[\]():|]|\\.)+|[\[\]():|]")  # skips a backslash at the end of a line: no prompt
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")


@dataclasses.dataclass
class _Group:
    """A bracket that was opened, and the pieces at which its parts are divided."""

    opened: int
    colons: list[int] = dataclasses.field(default_factory=list)
    bars: list[int] = dataclasses.field(default_factory=list)
    closed: int = 0


class _Refused(Exception):
    """A "|" belongs to no alternation."""


def _groups(pieces: list[str]) -> dict[int, _Group]:
    """The brackets that are edits or alternations, by their first piece; none when the prompt is plain text."""
    found: dict[int, _Group] = {}
    try:
        _scan(pieces, found)
    except _Refused:
        return {}
    return found


def _scan(pieces: list[str], found: dict[int, _Group]) -> None:
    open_: list[_Group] = []
    for at, piece in enumerate(pieces):
        match piece:
            case "(" | "[":
                open_.append(_Group(at))
            case ":" if open_:
                open_[-1].colons.append(at)
            case "|":
                if not open_ or pieces[open_[-1].opened] != "[":
                    raise _Refused
                open_[-1].bars.append(at)
            case ")" | "]" if open_:
                group = open_.pop()
                group.closed = at
                if _changes(pieces, group):
                    found[group.opened] = group
                elif not _fits(pieces, group):
                    _abandon([*open_, group])
                    open_.clear()
    _abandon(open_)


def _abandon(groups: list[_Group]) -> None:
    """These brackets are plain text, since something in them fits nowhere."""
    if any(group.bars for group in groups):
        raise _Refused


def _changes(pieces: list[str], group: _Group) -> bool:
    """Whether a bracket is an edit or an alternation."""
    if pieces[group.opened] != "[" or pieces[group.closed] != "]":
        return False
    if group.bars:
        return not group.colons
    number = group.colons[-1] + 1 if group.colons else 0
    return len(group.colons) in (1, 2) and number == group.closed - 1 and bool(_NUMBER.fullmatch(pieces[number]))


def _fits(pieces: list[str], group: _Group) -> bool:
    """Whether a bracket is emphasis: `(a)`, `(a:b)` or `[a]`."""
    match pieces[group.opened], pieces[group.closed]:
        case "(", ")":
            return len(group.colons) <= 1 and not group.bars
        case "[", "]":
            return not group.colons and not group.bars
    return False


@dataclasses.dataclass
class _Unfinished:
    """An edit or alternation whose end is not reached: the parts that are done, and the one that is being read."""

    group: _Group | None
    parts: list[Tree] = dataclasses.field(default_factory=list)
    nodes: list[str | Edit | Alternation] = dataclasses.field(default_factory=list)
    words: list[str] = dataclasses.field(default_factory=list)

    def add(self, node: Edit | Alternation) -> None:
        self._flush()
        self.nodes.append(node)

    def divide(self) -> None:
        """End a part and begin the next."""
        self._flush()
        self.parts.append(tuple(self.nodes))
        self.nodes = []

    def _flush(self) -> None:
        if self.words:
            self.nodes.append("".join(self.words))
            self.words = []


def _built(pieces: list[str], groups: dict[int, _Group]) -> Tree:
    open_ = [_Unfinished(None)]
    for at, piece in enumerate(pieces):
        here, group = open_[-1], open_[-1].group
        if at in groups:
            open_.append(_Unfinished(groups[at]))
        elif group and at == group.closed:
            here.divide()
            open_.pop()
            open_[-1].add(_node(group, here.parts))
        elif group and (piece == "|" or at in group.colons):
            here.divide()
        else:
            here.words.append(piece)
    open_[0].divide()
    return open_[0].parts[0]


def _node(group: _Group, parts: list[Tree]) -> Edit | Alternation:
    if group.bars:
        return Alternation(tuple(parts))
    *texts, number = parts
    return Edit(texts[0] if len(texts) == 2 else None, texts[-1], str(number[0]))


_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\s*[-+]?(?:\d+\.?|\d*\.\d+)")


def subprompts(text: str) -> tuple[tuple[str, float], ...]:
    """(text, weight) of each prompt that "AND" joins: `a cat :1.2 AND a dog` -> ("a cat", 1.2), (" a dog", 1.0).

    At least one. As in A1111, a single prompt may have a weight too, and blanks at the end are dropped. Weights are
    finite. Raises nothing.
    """
    return tuple(_weighed(part) for part in _AND.split(text))


def _weighed(part: str) -> tuple[str, float]:
    words = part.rstrip()
    head, colon, tail = words.rpartition(":")
    if colon and _WEIGHT.fullmatch(tail):
        return head.rstrip(), max(-HUGE, min(HUGE, float(tail)))
    return words, 1.0
