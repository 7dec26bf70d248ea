"""Prompts cut into CLIP's chunks of 75 tokens, with emphasis, as A1111 cuts them. Plain bookkeeping on token ids.

`loading.text` encodes the chunks; the page's token counter counts with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from modules.prompts import emphasis, tokens

CHUNK = 75
"""Prompt tokens in one pass of CLIP, whose 77 places include start and end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextPolicy:
    """How prompts are read. emphasis: "Original", "No norm", "Ignore" or "None"; skip: 1 = last layer, 2 = one before;
    backtrack: a comma at most so many tokens back starts the next chunk instead of a cut inside a phrase."""

    emphasis: str = "Original"
    skip: int = 1
    backtrack: int = 20

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TextPolicy:
        return cls(
            emphasis=options["emphasis"],
            skip=options["CLIP_stop_at_last_layers"],
            backtrack=options["comma_padding_backtrack"],
        )


@dataclasses.dataclass
class Chunk:
    """Token ids and their weights, at most 75 until `closed` frames them to 77."""

    ids: list[int] = dataclasses.field(default_factory=list)
    weights: list[float] = dataclasses.field(default_factory=list)

    def closed(self) -> Chunk:
        filling = CHUNK - len(self.ids)
        return Chunk(
            [tokens.START, *self.ids, *[tokens.END] * (filling + 1)],
            [1.0, *self.weights, *[1.0] * (filling + 1)],
        )


def parts_of(text: str, mode: str) -> list[tuple[str, float]]:
    """(text, weight) parts of a prompt under an emphasis mode."""
    return [(text, 1.0)] if mode == "None" else [(part, weight) for part, weight in emphasis.parse(text)]


def chunked(text: str, policy: TextPolicy) -> tuple[list[Chunk], int]:
    """Chunks of a prompt, each framed to 77 tokens, and the number of tokens that the prompt has."""
    chunks: list[Chunk] = []
    current, last_comma, count = Chunk(), -1, 0

    def close() -> None:
        nonlocal current, last_comma, count
        # a chunk that is closed early (BREAK) counts in full, as the counter beside the prompt shows it
        count += len(current.ids) if len(current.ids) == CHUNK else CHUNK
        chunks.append(current.closed())
        current, last_comma = Chunk(), -1

    for part, weight in parts_of(text, policy.emphasis):
        if part == emphasis.BREAK and weight == -1:
            close()
            continue
        for token in tokens.encode(part):
            if token == tokens.COMMA:
                last_comma = len(current.ids)
            elif _moves(current, last_comma, policy.backtrack):
                moved = Chunk(current.ids[last_comma + 1 :], current.weights[last_comma + 1 :])
                current = Chunk(current.ids[: last_comma + 1], current.weights[: last_comma + 1])
                close()
                current = moved
            if len(current.ids) == CHUNK:
                close()
            current.ids.append(token)
            current.weights.append(weight)
    if current.ids or not chunks:
        count += len(current.ids)
        chunks.append(current.closed())
    return chunks, count


def _moves(chunk: Chunk, last_comma: int, backtrack: int) -> bool:
    return bool(backtrack) and len(chunk.ids) == CHUNK and last_comma != -1 and CHUNK - last_comma <= backtrack


def counted(text: str, policy: TextPolicy) -> tuple[int, int]:
    """(tokens of a prompt, tokens that its chunks hold: 75, 150, …), for the counter beside the prompt."""
    _, count = chunked(text, policy)
    return count, max(1, -(-count // CHUNK)) * CHUNK
