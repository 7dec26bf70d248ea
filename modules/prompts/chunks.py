"""Prompts cut into CLIP's chunks of 75 tokens, with emphasis, as A1111 cuts them. Plain bookkeeping on token ids.

`loading.text` encodes the chunks; the page's token counter counts with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modules.prompts import emphasis, tokens

CHUNK = 75
"""Prompt tokens in one pass of CLIP, whose 77 places include start and end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextPolicy:
    """How prompts are read. emphasis: "Original", "No norm", "Ignore" or "None"; skip: 1 = last layer, 2 = one before;
    skip_sdxl: skip moves SDXL's first encoder too; backtrack: a comma at most so many tokens back starts the next chunk
    instead of a cut inside a phrase. carries: textual inversions of that phrase go along; A1111 leaves their vectors
    where they were, on the filling, and the next chunk reads "!" in their place. old: A1111's first way: one chunk, the
    rest is cut off; bracket tokens, and only they, are weights. t5: Stable Diffusion 3 reads the prompt with T5 too.
    """

    emphasis: str = "Original"
    skip: int = 1
    skip_sdxl: bool = False
    backtrack: int = 20
    carries: bool = False
    old: bool = False
    t5: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TextPolicy:
        return cls(
            emphasis=options["emphasis"],
            skip=options["CLIP_stop_at_last_layers"],
            skip_sdxl=options["sdxl_clip_l_skip"],
            backtrack=options["comma_padding_backtrack"],
            carries=options["backtrack_moves_embeddings"],
            old=options["use_old_emphasis_implementation"],
            t5=options["sd3_enable_t5"],
        )


@dataclasses.dataclass(frozen=True)
class Word:
    """A word of the user's own (textual inversion): the token ids it is written with, the places it takes."""

    name: str
    ids: tuple[int, ...]
    size: int


class Words:
    """The user's own words, found by token ids (so without regard to case); the longest wins."""

    def __init__(self, words: Iterable[Word] = ()) -> None:
        self._by_first: dict[int, list[Word]] = {}
        for word in sorted(words, key=lambda word: -len(word.ids)):
            if word.ids and 0 < word.size <= CHUNK:
                self._by_first.setdefault(word.ids[0], []).append(word)

    def find(self, ids: Sequence[int], position: int) -> Word | None:
        """The word that begins at this position of a part's token ids."""
        for word in self._by_first.get(ids[position], ()):
            if tuple(ids[position : position + len(word.ids)]) == word.ids:
                return word
        return None


NO_WORDS = Words()


@dataclasses.dataclass
class Chunk:
    """Token ids and their weights, at most 75 until `closed` frames them to 77. words: (first place, word) of those
    whose vectors stand where `ids` has fillers.
    """

    ids: list[int] = dataclasses.field(default_factory=list)
    weights: list[float] = dataclasses.field(default_factory=list)
    words: list[tuple[int, Word]] = dataclasses.field(default_factory=list)

    def closed(self) -> Chunk:
        filling = CHUNK - len(self.ids)
        return Chunk(
            [tokens.START, *self.ids, *[tokens.END] * (filling + 1)],
            [1.0, *self.weights, *[1.0] * (filling + 1)],
            [(place + 1, word) for place, word in self.words],
        )

    def parted(self, at: int) -> tuple[Chunk, Chunk]:
        """What lies before a place and what from there on; no word lies across it."""
        return (
            Chunk(self.ids[:at], self.weights[:at], [(place, word) for place, word in self.words if place < at]),
            Chunk(self.ids[at:], self.weights[at:], [(place - at, word) for place, word in self.words if place >= at]),
        )

    def add(self, ids: Sequence[int], weight: float) -> None:
        self.ids.extend(ids)
        self.weights.extend([weight] * len(ids))


def parts_of(text: str, mode: str) -> list[tuple[str, float]]:
    """(text, weight) parts of a prompt under an emphasis mode."""
    return [(text, 1.0)] if mode == "None" else [(part, weight) for part, weight in emphasis.parse(text)]


def chunked(text: str, policy: TextPolicy, words: Words = NO_WORDS) -> tuple[list[Chunk], int]:
    """Chunks of a prompt, each framed to 77 tokens, and the number of tokens that the prompt has.

    One of `words` takes as many places as it has vectors and is never cut: where they do not fit, a chunk begins.
    """
    if policy.old:
        return _only_chunk(text, policy, words)
    builder = _Builder(policy, words)
    for part, weight in parts_of(text, policy.emphasis):
        if part == emphasis.BREAK and weight == -1:
            builder.close()
        else:
            builder.add(tokens.encode(part), weight)
    return builder.finished()


def _only_chunk(text: str, policy: TextPolicy, words: Words) -> tuple[list[Chunk], int]:
    """The old way: each bracket changes the weight from there on, wherever it stands in a token."""
    factors = {} if policy.emphasis == "None" else tokens.bracket_factors()
    chunk, weight, position, ids = Chunk(), 1.0, 0, tokens.encode(text)
    while position < len(ids):
        factor, word = factors.get(ids[position]), words.find(ids, position)
        if factor is not None:
            weight *= factor
        elif word is None:
            chunk.add([ids[position]], weight)
        elif len(chunk.ids) + word.size <= CHUNK:
            chunk.words.append((len(chunk.ids), word))
            chunk.add([0] * word.size, weight)
        position += len(word.ids) if word and factor is None else 1
    return [chunk.parted(CHUNK)[0].closed()], len(chunk.ids)


class _Builder:
    """Chunks in the making."""

    def __init__(self, policy: TextPolicy, words: Words) -> None:
        self._policy = policy
        self._words = words
        self._chunks: list[Chunk] = []
        self._current = Chunk()
        self._last_comma = -1
        self._count = 0

    def close(self) -> None:
        # a chunk that is closed early (BREAK) counts in full, as the counter beside the prompt shows it
        self._count += CHUNK
        self._chunks.append(self._current.closed())
        self._current, self._last_comma = Chunk(), -1

    def add(self, ids: Sequence[int], weight: float) -> None:
        position = 0
        while position < len(ids):
            self._make_room(ids[position])
            word = self._words.find(ids, position)
            if word is None:
                self._current.add([ids[position]], weight)
                position += 1
                continue
            if len(self._current.ids) + word.size > CHUNK:
                self.close()
            self._current.words.append((len(self._current.ids), word))
            self._current.add([0] * word.size, weight)
            position += len(word.ids)

    def finished(self) -> tuple[list[Chunk], int]:
        if self._current.ids or not self._chunks:
            self._count += len(self._current.ids)
            self._chunks.append(self._current.closed())
        return self._chunks, self._count

    def _make_room(self, token: int) -> None:
        if token == tokens.COMMA:
            self._last_comma = len(self._current.ids)
        elif _moves(self._current, self._last_comma, self._policy.backtrack):
            words = self._current.words
            self._current, moved = self._current.parted(self._last_comma + 1)
            if not self._policy.carries:
                self._current.words, moved.words = words, []
            self.close()
            self._current = moved
        if len(self._current.ids) == CHUNK:
            self.close()


def _moves(chunk: Chunk, last_comma: int, backtrack: int) -> bool:
    return bool(backtrack) and len(chunk.ids) == CHUNK and last_comma != -1 and CHUNK - last_comma <= backtrack


def counted(text: str, policy: TextPolicy, words: Words = NO_WORDS) -> tuple[int, int]:
    """(tokens of a prompt, tokens that its chunks hold: 75, 150, …), for the counter beside the prompt."""
    _, count = chunked(text, policy, words)
    return count, max(1, -(-count // CHUNK)) * CHUNK
