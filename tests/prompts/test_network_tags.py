"""Laws of network tags: a text without them is untouched, what is left has none, values by place and by name agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.network_tags import Wish, split, wish


@given(st.text(max_size=200))
def test_any_text_is_split_once_and_for_all(text: str) -> None:
    rest, tags = split(text)
    assert (rest == text) == (not tags)
    assert len(rest) <= len(text)


@given(st.floats(-4, 4), st.floats(-4, 4), st.integers(1, 64))
def test_places_and_names_say_the_same(text: float, unet: float, rank: int) -> None:
    placed = split(f"<lora:x:{text}:{unet}:{rank}>")[1][0]
    named = split(f"<lora:x:dyn={rank}:unet={unet}:te={text}>")[1][0]
    assert wish(placed) == wish(named) == Wish(name="x", text=text, unet=unet, rank=rank)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<lora:x>", Wish(name="x")),
        ("<lora:x:0.5>", Wish(name="x", text=0.5, unet=0.5)),
        ("<lora:x:0.5:1>", Wish(name="x", text=0.5, unet=1.0)),
        ("<lora:x:te=0.5>", Wish(name="x", text=0.5, unet=0.5)),
        ("<lora:x:1:unet=0>", Wish(name="x", text=1.0, unet=0.0)),
        ("<lora:a/b c:-1>", Wish(name="a/b c", text=-1.0, unet=-1.0)),
    ],
)
def test_later_strengths_default_to_earlier(tag: str, expected: Wish) -> None:
    assert wish(split(tag)[1][0]) == expected


def test_the_text_keeps_everything_else() -> None:
    rest, tags = split("a <lora:x:1> cat<hypernet:y>, <b> 1 < 2")
    assert rest == "a  cat, <b> 1 < 2"
    assert [(tag.kind, tag.positional[0]) for tag in tags] == [("lora", "x"), ("hypernet", "y")]


def test_lyco_is_lora_and_other_words_are_nothing() -> None:
    assert [tag.kind for tag in split("<lyco:x:1> <other:y:1>")[1]] == ["lora", None]


@pytest.mark.parametrize("tag", ["<lora:x:much>", "<lora:x:nan>", "<lora:x:1:1:0>", "<lora:x:dyn=a>", "<lora:te=1>"])
def test_what_is_no_number_is_told(tag: str) -> None:
    with pytest.raises(ValueError, match=r"lora"):
        wish(split(tag)[1][0])
