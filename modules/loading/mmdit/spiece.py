"""SentencePiece models (`spiece.model`, `tokenizer.model`) as tokenizers, without the sentencepiece package.

The file is a protocol buffer of three messages, of which a few fields are read: pieces with scores, the kind of model,
the table of character replacements (Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226).
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPACE = "\u2581"
FIRST = "<bos>"
"""The mark in front of a text."""
UNIGRAM, BPE = 1, 2
_UNKNOWN, _CONTROL, _USER, _BYTE = 2, 3, 4, 6
_VARINT, _WIDE, _BYTES, _NARROW = 0, 1, 2, 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pieces:
    """What the file says. kinds: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 a byte."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    kinds: tuple[int, ...]
    model: int
    replacements: bytes

    @property
    def unknown(self) -> int:
        return self.kinds.index(_UNKNOWN)

    @property
    def bytewise(self) -> bool:
        """Whether what no piece spells is spelled in bytes."""
        return _BYTE in self.kinds


def read(data: bytes) -> Pieces:
    """Raises ValueError for what is not such a file."""
    pieces, scores, kinds, model, replacements = [], [], [], UNIGRAM, b""
    for field, value in _fields(data):
        if field == 1:
            found = dict(_fields(_message(value)))
            pieces.append(_message(found.get(1, b"")).decode())
            scores.append(float(struct.unpack("<f", _message(found.get(2, bytes(4))))[0]))
            kinds.append(int(found.get(3, 1)))
        elif field == 2:
            model = int(dict(_fields(_message(value))).get(3, UNIGRAM))
        elif field == 3:
            replacements = _message(dict(_fields(_message(value))).get(2, b""))
    if _UNKNOWN not in kinds:
        raise ValueError("not a SentencePiece model")
    return Pieces(
        pieces=tuple(pieces), scores=tuple(scores), kinds=tuple(kinds), model=model, replacements=replacements
    )


def tokenizer(data: bytes) -> Tokenizer:
    """The tokenizer of a SentencePiece file. Raises ValueError."""
    found = read(data)
    made = _unigram(found) if found.model == UNIGRAM else _bpe(found)
    special = [piece for piece, kind in zip(found.pieces, found.kinds, strict=True) if kind in (_CONTROL, _USER)]
    made.add_special_tokens(special)
    return made


def _unigram(found: Pieces) -> Tokenizer:
    """As T5 reads text: characters replaced, runs of spaces joined, a space before the first word."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    scored = list(zip(found.pieces, found.scores, strict=True))
    made = Tokenizer(models.Unigram(scored, found.unknown, found.bytewise))
    steps = [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), SPACE)]
    if found.replacements:
        steps.insert(0, normalizers.Precompiled(found.replacements))
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    made.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    return made


def _bpe(found: Pieces) -> Tokenizer:
    """As Gemma reads text: spaces are a character of their own, pairs are joined in the order of the scores."""
    from tokenizers import Tokenizer, models, normalizers, processors

    ids = {piece: number for number, piece in enumerate(found.pieces)}
    made = Tokenizer(
        models.BPE(
            ids,
            _merges(found, ids),
            unk_token=found.pieces[found.unknown],
            fuse_unk=True,
            byte_fallback=found.bytewise,
        )
    )
    made.normalizer = normalizers.Replace(" ", SPACE)
    if FIRST in ids:
        made.post_processor = processors.TemplateProcessing(single=f"{FIRST} $A", special_tokens=[(FIRST, ids[FIRST])])
    return made


def _merges(found: Pieces, ids: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to join two pieces to a third; the best third first, among equals the older pair."""
    ways = []
    for piece, score in zip(found.pieces, found.scores, strict=True):
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in ids and right in ids:
                ways.append((-score, ids[left], ids[right], left, right))
    return [(left, right) for *_, left, right in sorted(ways)]


def _message(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("not a SentencePiece model")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(number, value) of every field of a protocol buffer message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_WIDE, _NARROW):
            size = 8 if wire == _WIDE else 4
        else:
            raise ValueError("not a SentencePiece model")
        if at + size > len(data):
            raise ValueError("the SentencePiece model is cut short")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("not a SentencePiece model")
