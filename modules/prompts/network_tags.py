"""Networks asked for in a prompt: `<lora:name:0.8>`, `<hypernet:name:1>` -> the text without them, and what they ask.

    <lora:name:te:unet:dyn>   strengths of text encoder and UNet, rank; the later ones default to the earlier
    <lora:name:te=0.5:unet=1:dyn=8>   the same by name, in any order

`generate` encodes the text and hands the tags to `networks`; infotexts keep the prompt as it was written. Any other
kind than those of `KINDS` disappears from the text too, as in A1111, and is told in a comment.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping

KINDS = {"lora": "lora", "lyco": "lora", "hypernet": "hypernet"}
"""The word in the tag -> the kind of network."""

_TAG = re.compile(r"<(\w+):([^>]+)>")


@dataclasses.dataclass(frozen=True)
class Tag:
    """One tag as it was written: its first word, the values by place, the values by name."""

    word: str
    positional: tuple[str, ...]
    named: Mapping[str, str]

    @property
    def kind(self) -> str | None:
        """ "lora", "hypernet", or None for a word that means nothing here."""
        return KINDS.get(self.word)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """A network by name with its strengths. rank: use only so many ranks of a LoRA; None: all."""

    name: str
    text: float = 1.0
    unet: float = 1.0
    rank: int | None = None


def split(prompt: str) -> tuple[str, tuple[Tag, ...]]:
    """The prompt without tags, and the tags in their order. Raises nothing."""
    tags = tuple(_tag(word, values) for word, values in _TAG.findall(prompt))
    return (_TAG.sub("", prompt) if tags else prompt), tags


def wish(tag: Tag) -> Wish:
    """What a tag asks for. Raises ValueError with the reason in words: no name, or a strength that is no number."""
    if not tag.positional or not tag.positional[0].strip():
        raise ValueError(f"<{tag.word}:…> names no network.")
    text = _number(tag, 1, "te", 1.0)
    return Wish(name=tag.positional[0], text=text, unet=_number(tag, 2, "unet", text), rank=_rank(tag))


def _tag(word: str, values: str) -> Tag:
    positional: list[str] = []
    named: dict[str, str] = {}
    for value in values.split(":"):
        name, *rest = value.split("=")
        if len(rest) == 1:
            named[name] = rest[0]
        else:
            positional.append(value)
    return Tag(word, tuple(positional), named)


def _written(tag: Tag, place: int, name: str) -> str | None:
    by_place = tag.positional[place] if len(tag.positional) > place else None
    return tag.named.get(name, by_place)


def _number(tag: Tag, place: int, name: str, default: float) -> float:
    written = _written(tag, place, name)
    try:
        value = default if written is None else float(written)
    except ValueError as error:
        raise ValueError(f'<{tag.word}:{tag.positional[0]}>: "{written}" is not a number.') from error
    if not math.isfinite(value):
        raise ValueError(f'<{tag.word}:{tag.positional[0]}>: the strength "{written}" is not finite.')
    return value


def _rank(tag: Tag) -> int | None:
    written = _written(tag, 3, "dyn")
    if written is None:
        return None
    if not written.strip().isdecimal() or int(written) < 1:
        raise ValueError(f'<{tag.word}:{tag.positional[0]}>: the rank "{written}" is not a whole number from 1.')
    return int(written)
