"""Tokenizers of the large text encoders. Their vocabularies are the user's own files; none is shipped or fetched.

A tokenizer is found by what it knows: a `tokenizer.json`, a SentencePiece file, or one inside the encoder's own file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from modules.core.errors import EaselError
from modules.loading import companions
from modules.loading.mmdit import spiece

if TYPE_CHECKING:
    from tokenizers import Tokenizer

INSIDE = ("spiece_model", "tokenizer_model")
"""Tensors (bytes) in which some encoders' files hold a SentencePiece model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A vocabulary. model: its algorithm; marks: tokens that it has and the other kinds lack; origin: who gives it out
    under which name.
    """

    title: str
    model: str
    marks: tuple[str, ...]
    origin: str

    def fits(self, tokenizer: Tokenizer) -> bool:
        algorithm = type(tokenizer.model).__name__
        return algorithm == self.model and all(tokenizer.token_to_id(mark) is not None for mark in self.marks)


T5 = Kind(title="T5", model="Unigram", marks=("</s>", "<pad>"), origin="google/t5-v1_1-xxl")
GEMMA = Kind(title="Gemma 2", model="BPE", marks=("<bos>", "<start_of_turn>"), origin="google/gemma-2-2b")
QWEN = Kind(title="Qwen", model="BPE", marks=("<|im_start|>", "<|im_end|>"), origin="Qwen/Qwen3-4B")
MISTRAL = Kind(title="Mistral Small 3", model="BPE", marks=("[INST]", "[SYSTEM_PROMPT]"), origin="Mistral-Small-3.1")


def find(kind: Kind, folders: Iterable[Path], beside: Path, weights: Mapping[str, Tensor], *, most: int) -> Tokenizer:
    """The tokenizer; weights: of the encoder's file, which may hold one; most: words that the encoder knows, so that a
    kindred one with more is not taken. Raises EaselError saying what to put where.
    """
    folders = tuple(folders)
    for name in weights:
        if name.rpartition(".")[2] in INSIDE:
            return spiece.tokenizer(weights[name].numpy().tobytes())
    for path in companions.files(folders, beside, ".json", ".model"):
        found = _read(path)
        if found is not None and kind.fits(found) and found.get_vocab_size() <= most:
            return found
    place = folders[0] if folders else beside.parent
    raise EaselError(
        f"{beside.name} needs the tokenizer of {kind.title}, a small file that is not in the checkpoint. Put "
        f"tokenizer.json (or the SentencePiece file spiece.model) of {kind.origin} into {place}."
    )


def _read(path: Path) -> Tokenizer | None:
    """A file as a tokenizer, or None where it is something else."""
    from tokenizers import Tokenizer

    try:
        if path.suffix.casefold() == ".model":
            return spiece.tokenizer(path.read_bytes())
        text = path.read_text(encoding="utf-8")
        return Tokenizer.from_str(text) if "model" in json.loads(text) else None
    except Exception:  # whatever lies there: tokenizers raises plain Exception for what it cannot read
        return None
