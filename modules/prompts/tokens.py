"""The CLIP tokenizer: text -> token ids, for encoding (`loading.text`) and for the counter beside a prompt (`web`).

Built from the table of merges alone (data/clip_bpe_merges.txt.gz; MIT, see data/NOTICE), so it needs no files of a
model and no network. The ids equal those of transformers' CLIPTokenizer. The `tokenizers` library is imported, and the
vocabulary built (about 0.2 s), at the first use; from then on both functions may be called from any thread.
"""

from __future__ import annotations

import functools
import gzip
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

START = 49406
"""Id of "<|startoftext|>", which opens each chunk of 75 tokens."""
END = 49407
"""Id of "<|endoftext|>", which closes and (for SD1) pads each chunk."""
COMMA = 267
"""Id of a comma: chunks are preferably split after one."""

_TABLE = Path(__file__).parent / "data" / "clip_bpe_merges.txt.gz"
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""CLIP's split of a text: English endings, runs of letters, single digits, runs of anything else but white space."""


def encode(text: str) -> list[int]:
    """Token ids (0..49407) of a text of any length; START and END are not added.

    Raises nothing: lone surrogates, which UTF-8 cannot hold, count as "?".
    """
    ids: list[int] = _tokenizer().encode(_encodable(text), add_special_tokens=False).ids
    return ids


def count(text: str) -> int:
    """How many tokens the text has, without START and END."""
    return len(encode(text))


@functools.cache
def bracket_factors() -> dict[int, float]:
    """What tokens with unequal brackets do to the weight of what follows, in A1111's old emphasis: id -> factor."""
    by_mark = {"(": 1.1, ")": 1 / 1.1, "[": 1 / 1.1, "]": 1.1}
    factors: dict[int, float] = {}
    for word, ident in vocabulary().items():
        net = word.count("(") - word.count(")") + word.count("]") - word.count("[")
        if net:
            factors[ident] = math.prod(by_mark[mark] for mark in word if mark in by_mark)
    return factors


@functools.cache
def vocabulary() -> dict[str, int]:
    """Pieces of words as the tokenizer has them -> their ids; "</w>" ends a word."""
    return _vocabulary(_merges())


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


@functools.cache
def _tokenizer() -> Tokenizer:
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

    merges = _merges()
    model = models.BPE(
        vocab=_vocabulary(merges), merges=merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>", fuse_unk=False
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    marks = ("<|startoftext|>", "<|endoftext|>")
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in marks])
    return tokenizer


def _merges() -> list[tuple[str, str]]:
    lines = gzip.decompress(_TABLE.read_bytes()).decode("utf-8").split("\n")
    pairs = (line.split(" ") for line in lines)
    return [(left, right) for left, right in pairs]


def _vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    symbols = _byte_symbols()
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), *(left + right for left, right in merges)]
    return {word: index for index, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}


def _byte_symbols() -> list[str]:
    """One visible character for each of the 256 bytes, in the vocabulary's order: bytes that Latin-1 shows stand for
    themselves and come first, the other 68 are moved up to U+0100 and on (Radford et al., GPT-2)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = 256 - len(shown)
    return [chr(code) for code in shown] + [chr(256 + index) for index in range(hidden)]
