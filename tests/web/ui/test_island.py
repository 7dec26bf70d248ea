"""What the page's script asks is answered, and whatever is wrong with a question is said in words."""

from __future__ import annotations

from typing import Any

import pytest

from modules.core.errors import NotFound
from modules.web.ui.island import answered


def lost(asked: dict[str, Any]) -> None:
    raise NotFound("Picture", str(asked["number"]))


ANSWERS = {"double": lambda asked: 2 * asked["number"], "lost": lost}


@pytest.mark.parametrize("asked", [["double", {"number": 4}], [["double", {"number": 4}]]])
def test_a_question_is_answered(asked: Any) -> None:
    assert answered(ANSWERS, asked) == {"answer": 8}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["lost", {"number": 7}], "not found"),
        (["double", {}], "not complete"),
        (["nonesuch", {}], "reload the page"),
        (["double"], "reload the page"),
        (["double", None], "reload the page"),
        (None, "reload the page"),
        ("text", "reload the page"),
    ],
)
def test_what_is_wrong_is_said(asked: Any, words: str) -> None:
    assert words in answered(ANSWERS, asked)["error"]
