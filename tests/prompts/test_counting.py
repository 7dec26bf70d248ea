"""The counter tells the room of the longest text that a prompt becomes, and of nothing that is no text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts import tokens
from modules.prompts.chunks import CHUNK, TextPolicy, Word, Words
from modules.prompts.counting import room

POLICY = TextPolicy()
STYLE = Words([Word("mystyle", tuple(tokens.encode("mystyle")), 8)])


@given(st.text(max_size=120))
def test_any_text_has_room(text: str) -> None:
    count, capacity = room(text, POLICY)
    assert 0 <= count <= capacity
    assert capacity % CHUNK == 0


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("cat dog", 2),
        ("cat dog <lora:some very long name:0.8>", 2),
        ("cat dog # cow cow cow", 2),
        ("cat [dog:cow cow cow:0.5]", 4),
        ("[cat|cow cow cow]", 3),
        ("cat AND cow cow cow :0.5", 3),
        ("cat " * 76, 76),
    ],
)
def test_the_longest_text_counts(prompt: str, count: int) -> None:
    assert room(prompt, POLICY) == (count, 75 if count <= 75 else 150)


def test_comments_are_text_where_they_are_not_read() -> None:
    assert room("cat # cow", POLICY, comments_too=True)[0] == 3


def test_a_textual_inversion_takes_as_many_places_as_it_has_vectors() -> None:
    assert room("a mystyle cat", POLICY)[0] < 10
    assert room("a mystyle cat", POLICY, STYLE) == (10, 75)
    assert room("mystyle, " * 9, POLICY, STYLE)[1] == 150
