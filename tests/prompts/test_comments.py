"""Comments vanish, everything else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.comments import strip_comments


@given(st.text(st.characters(exclude_characters="#")))
def test_text_without_comment_is_unchanged(text: str) -> None:
    assert strip_comments(text) == text


@given(st.text())
def test_no_comment_is_left(text: str) -> None:
    assert "#" not in strip_comments(text)


@given(st.lists(st.text(st.sampled_from("ab #"))))
def test_every_word_outside_comments_stays(lines: list[str]) -> None:
    kept = " ".join(line.split("#")[0] for line in lines).split()
    assert strip_comments("\n".join(lines)).split() == kept


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("a cat # not a dog\nin a garden", "a cat \nin a garden"),
        ("a\n# whole line\nb", "a\nb"),
        ("# first\nb", "\nb"),
        ("a # tail", "a \n"),
    ],
)
def test_examples_of_a1111(text: str, stripped: str) -> None:
    assert strip_comments(text) == stripped
