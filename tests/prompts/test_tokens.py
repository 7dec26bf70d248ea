"""The tokenizer equals transformers' CLIPTokenizer, built from the same table."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modules.prompts import tokens

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def oracle() -> Any:
    """transformers' tokenizer; its vocabulary is made here, from the table and GPT-2's definition of byte symbols."""
    from transformers import CLIPTokenizer

    table = gzip.decompress((ROOT / "modules/prompts/data/clip_bpe_merges.txt.gz").read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in table]
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(code) for code in shown] + [chr(256 + index) for index in range(256 - len(shown))]
    words = symbols + [symbol + "</w>" for symbol in symbols] + ["".join(pair) for pair in merges]
    vocabulary = {word: index for index, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    assert len(vocabulary) == 49408
    return CLIPTokenizer(vocab=vocabulary, merges=merges)


ODD = ["日本語", "🐱", "e\u0301", "<|endoftext|>", "<|STARTOFTEXT|>", "\u00a0", "\n", " "]
PIECES = st.sampled_from(["a", "cat", "CAFÉ", "it's", "'LL", "123", "...", *ODD])


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec="utf-8")) | st.lists(PIECES).map(" ".join) | st.lists(PIECES).map("".join))
@example("")
@example("x" * 5000)
@example("a photo of a cat, <|endoftext|> 日本語 🐱 naïve İstanbul ﬁ \u2019 \ufffd")
def test_ids_equal_those_of_transformers(oracle: Any, text: str) -> None:
    assert tokens.encode(text) == oracle(text, add_special_tokens=False)["input_ids"]


def test_known_ids() -> None:
    assert tokens.encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert tokens.encode("<|startoftext|><|endoftext|>,") == [tokens.START, tokens.END, tokens.COMMA]


@given(st.text())
def test_count_is_the_number_of_ids(text: str) -> None:
    assert tokens.count(text) == len(tokens.encode(text))


def test_lone_surrogates_are_counted() -> None:
    assert tokens.encode("a \ud800") == tokens.encode("a ?")


def test_import_is_light_and_the_first_use_quick() -> None:
    code = (
        "import sys, time; from modules.prompts import tokens\n"
        "assert not {'tokenizers', 'torch', 'transformers'} & set(sys.modules)\n"
        "import tokenizers; start = time.perf_counter(); tokens.count('a'); print(time.perf_counter() - start)\n"
        "assert 'torch' not in sys.modules"
    )
    best = 9.0
    start = time.perf_counter()
    while best > 0.3 and time.perf_counter() - start < 20:  # the machine may be busy: the best of several counts
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        best = min(best, float(run.stdout))
    assert best <= 0.3


def test_brackets_in_tokens_multiply_and_closing_ones_undo() -> None:
    factors = tokens.bracket_factors()
    for text, factor in (("(", 1.1), ("((", 1.21), (")", 1 / 1.1), ("[", 1 / 1.1), ("]", 1.1)):
        (ident,) = tokens.encode(text)
        assert factors[ident] == pytest.approx(factor)
    assert not factors.keys() & set(tokens.encode("a red house , ()"))
