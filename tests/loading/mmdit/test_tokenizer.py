"""Laws of tokenizers: they are found by what they know; a SentencePiece file reads like the tokenizer.json of the same
pieces; what is missing is said with a place to put it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.core.errors import EaselError
from modules.loading.mmdit import spiece, tokenizer
from tests.loading.mmdit import words

CHECKPOINT = Path("flux.safetensors")


def test_the_same_pieces_give_the_same_tokens(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    stored = Tokenizer.from_file(str(words.t5_json(tmp_path / "tokenizer.json")))
    read = spiece.tokenizer(words.spiece())
    for text in ("a cat on the red house", "catalogue", "the  dog ", "", "7 cats, 2 dogs!"):
        assert read.encode(text, add_special_tokens=False).ids == stored.encode(text, add_special_tokens=False).ids


def test_a_unigram_takes_the_best_split() -> None:
    """A whole word costs 2, letters cost 5 each."""
    read = spiece.tokenizer(words.spiece())
    assert read.encode("the cat", add_special_tokens=False).tokens == ["▁the", "▁cat"]
    assert read.encode("dot", add_special_tokens=False).tokens == ["▁", "d", "o", "t"]


def test_pairs_are_joined_in_the_order_of_their_scores() -> None:
    read = spiece.tokenizer(words.spiece(2, words.GEMMA_PIECES))
    assert read.encode(" cat", add_special_tokens=False).tokens == ["▁cat"]
    assert read.encode("cat", add_special_tokens=False).tokens == ["c", "at"]
    assert read.encode("cat").tokens[0] == "<bos>"


@pytest.mark.parametrize("data", [b"", b"not a model at all", b"\x0a\xff\xff\xff\xff\x0f", words.spiece()[:-3]])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="SentencePiece"):
        spiece.read(data)


def test_the_right_one_of_several_is_found(tmp_path: Path) -> None:
    words.qwen_json(tmp_path / "a" / "tokenizer.json")
    words.t5_json(tmp_path / "b" / "tokenizer.json")
    words.gemma_model(tmp_path / "c" / "tokenizer.model")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "broken.json").write_text("{")
    for kind, mark in (
        (tokenizer.T5, "▁house"),
        (tokenizer.QWEN, "<|im_start|>"),
        (tokenizer.GEMMA, "<start_of_turn>"),
    ):
        found = tokenizer.find(kind, [tmp_path], tmp_path / CHECKPOINT, {}, most=1000)
        assert found.token_to_id(mark) is not None


def test_one_inside_the_encoders_file_comes_first(tmp_path: Path) -> None:
    inside = torch.frombuffer(bytearray(words.spiece()), dtype=torch.uint8)
    found = tokenizer.find(
        tokenizer.T5, [tmp_path], tmp_path / CHECKPOINT, {"text_encoders.spiece_model": inside}, most=1000
    )
    assert found.token_to_id("▁cat") is not None


def test_a_missing_one_is_named_with_its_place(tmp_path: Path) -> None:
    words.qwen_json(tmp_path / "tokenizer.json")
    with pytest.raises(
        EaselError, match=r"flux\.safetensors needs the tokenizer of T5.*tokenizer\.json.*google/t5"
    ) as said:
        tokenizer.find(tokenizer.T5, [tmp_path], tmp_path / CHECKPOINT, {}, most=1000)
    assert str(tmp_path) in str(said.value)


def test_a_kindred_one_with_more_words_than_the_encoder_is_not_taken(tmp_path: Path) -> None:
    words.t5_json(tmp_path / "tokenizer.json")
    with pytest.raises(EaselError, match="needs the tokenizer of T5"):
        tokenizer.find(tokenizer.T5, [tmp_path], tmp_path / CHECKPOINT, {}, most=10)
