"""A small vocabulary in the formats of tokenizers: T5's kind (Unigram), as tokenizer.json and as SentencePiece file."""

from __future__ import annotations

import struct
from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz,.!0123456789"
WHOLE = ("\u2581a", "\u2581cat", "\u2581dog", "\u2581on", "\u2581the", "\u2581red", "ing", "\u2581house")
PIECES = [
    ("<pad>", 0.0, 3),
    ("</s>", 0.0, 3),
    ("<unk>", 0.0, 2),
    ("\u2581", -3.0, 1),
    *((word, -2.0, 1) for word in WHOLE),
    *((letter, -5.0, 1) for letter in LETTERS),
]
"""(piece, score, kind) as SentencePiece numbers kinds: 1 normal, 2 unknown, 3 control."""


def t5_json(path: Path) -> Path:
    """T5's tokenizer.json in small."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    made = Tokenizer(models.Unigram([(piece, score) for piece, score, _ in PIECES], 2, False))
    made.normalizer = normalizers.Sequence(
        [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "\u2581")]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    made.add_special_tokens(["<pad>", "</s>"])
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(path))
    return path


def spiece(model: int = 1, pieces: list[tuple[str, float, int]] = PIECES) -> bytes:
    """A SentencePiece file: a protocol buffer, field by field. model: 1 Unigram, 2 BPE."""
    body = b"".join(
        _message(1, _message(1, piece.encode()) + _tag(2, 5) + struct.pack("<f", score) + _tag(3, 0) + _varint(kind))
        for piece, score, kind in pieces
    )
    return body + _message(2, _tag(3, 0) + _varint(model)) + _message(3, _message(1, b"identity"))


def _message(field: int, data: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(data)) + data


def _tag(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def bpe_json(path: Path, specials: tuple[str, ...]) -> Path:
    """A byte-pair tokenizer in small: letters, spaces and these marks."""
    from tokenizers import Tokenizer, models

    ids = {letter: number for number, letter in enumerate([*specials, *LETTERS, " ", "\n", "<", ">", ":"])}
    made = Tokenizer(models.BPE(ids, [], unk_token=specials[-1]))
    made.add_special_tokens(list(specials))
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(path))
    return path


def qwen_json(path: Path) -> Path:
    return bpe_json(path, ("<|im_start|>", "<|im_end|>", "<|endoftext|>"))


GEMMA_PIECES = [
    ("<pad>", 0.0, 3),
    ("<eos>", 0.0, 3),
    ("<bos>", 0.0, 3),
    ("<unk>", 0.0, 2),
    ("<start_of_turn>", 0.0, 4),
    ("\u2581c", -1.0, 1),
    ("at", -2.0, 1),
    ("\u2581cat", -3.0, 1),
    ("\u2581", -50.0, 1),
    *((letter, -100.0 - number, 1) for number, letter in enumerate(LETTERS)),
]


def gemma_model(path: Path) -> Path:
    """Gemma's tokenizer.model in small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(spiece(2, GEMMA_PIECES))
    return path


def mistral_json(path: Path) -> Path:
    return bpe_json(path, ("<pad>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "<unk>"))
