"""Styles are found again in prompts: taking them out and applying them gives the prompt back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts import infotext
from modules.prompts.pasted_styles import STYLES, inferred, taken_out
from modules.prompts.styles import Style, StyleBook, unmerged

KNOWN = {
    "postcard": Style("postcard", "a postcard of {prompt}, sunny", "dark, {prompt}"),
    "fine": Style("fine", "masterpiece, oil painting", "photo, sketch"),
    "clean": Style("clean", "", "watermark, text"),
    "nothing": Style("nothing"),
}
STYLED = "a cat, masterpiece, oil painting\nNegative prompt: blurry, photo, sketch\nSteps: 8, Sampler: Euler, Seed: 1"


@pytest.fixture
def book(tmp_path: Path) -> StyleBook:
    table = StyleBook([tmp_path / "styles.csv"])
    for style in KNOWN.values():
        table.save(style)
    return table


def applied(names: list[str], prompt: str, negative: str) -> tuple[str, str]:
    for name in names:
        prompt, negative = KNOWN[name].applied(prompt, negative)
    return prompt, negative


@given(
    st.lists(st.sampled_from(sorted(KNOWN)), unique=True),
    st.text(alphabet="ab ,{}", max_size=12),
    st.text(alphabet="ab ,", max_size=8),
)
def test_what_is_taken_out_and_applied_again_is_the_same(chosen: list[str], prompt: str, negative: str) -> None:
    """But for white space, and for a comma that stood before an appended text alone."""
    both = applied(chosen, prompt, negative)
    plain = taken_out(KNOWN.values(), *both)
    again = applied(plain.names, plain.prompt, plain.negative_prompt)
    assert [text.replace(" ", "").strip(",") for text in again] == [text.replace(" ", "").strip(",") for text in both]


def test_all_styles_that_were_applied_are_found_in_their_order() -> None:
    for chosen in (["fine"], ["postcard"], ["clean"], ["fine", "postcard"], ["postcard", "fine"]):
        assert taken_out(KNOWN.values(), *applied(chosen, "a cat", "blurry")) == (chosen, "a cat", "blurry")


@pytest.mark.parametrize("style", ["{prompt} and {prompt}", "ab{prompt}ba", "other"])
def test_a_text_that_no_style_made_is_left(style: str) -> None:
    assert unmerged(style, "aba") is None


@pytest.mark.parametrize(
    ("action", "names", "prompt"),
    [
        ("Ignore", None, "a cat, masterpiece, oil painting"),
        ("Apply", ["fine"], "a cat"),
        ("Apply if any", ["fine"], "a cat"),
        ("Discard", None, "a cat"),
    ],
)
def test_each_choice_of_the_option(book: StyleBook, action: str, names: list[str] | None, prompt: str) -> None:
    found = inferred(infotext.parse(STYLED), book, action)
    assert (found.get(STYLES), found["Prompt"]) == (names, prompt)
    assert found["Negative prompt"] == ("blurry, photo, sketch" if action == "Ignore" else "blurry")
    assert found["Steps"] == "8"


def test_apply_empties_the_menu_where_there_is_no_style(book: StyleBook) -> None:
    plain = infotext.parse("a cat\nSteps: 8, Sampler: Euler, Seed: 1")
    assert inferred(plain, book, "Apply")[STYLES] == []
    assert inferred(plain, book, "Apply if any") == plain


def hires(text: str, version: str) -> dict[str, Any]:
    return {**infotext.parse(STYLED), "Hires prompt": text, "Version": version}


def test_prompts_of_hires_fix_lose_the_same_styles(book: StyleBook) -> None:
    found = inferred(hires("a dog, masterpiece, oil painting", "v1.10.1"), book, "Apply")
    assert (found["Hires prompt"], found["Hires negative prompt"], found["Prompt"]) == ("a dog", "", "a cat")


def test_prompts_of_hires_fix_without_the_styles_leave_all_as_it_is(book: StyleBook) -> None:
    parsed = hires("a dog", "v1.10.1")
    assert inferred(parsed, book, "Apply") == parsed


def test_old_versions_wrote_no_styles_into_prompts_of_hires_fix(book: StyleBook) -> None:
    found = inferred(hires("a dog", "v1.8.0"), book, "Apply")
    assert (found["Hires prompt"], found["Prompt"], found[STYLES]) == ("a dog", "a cat", ["fine"])


def test_a_damaged_file_of_styles_has_none(tmp_path: Path) -> None:
    (tmp_path / "styles.csv").write_bytes(b"\xff\xfe\xff")
    parsed = infotext.parse(STYLED)
    assert inferred(parsed, StyleBook([tmp_path / "styles.csv"]), "Apply") == parsed
