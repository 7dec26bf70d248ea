"""NovelAI: its emphasis means the same after the translation; pictures of V1 to V4."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts import emphasis, infotext
from modules.prompts.importing import Source, translate
from modules.prompts.importing.novelai import emphasised, read

COMMENT = {"steps": 28, "sampler": "k_dpmpp_2m", "seed": 7, "scale": 11.0, "uc": "lowres", "strength": 0.7}


def items(description: str = "a cat", **comment: Any) -> dict[str, str]:
    return {"Software": "NovelAI", "Description": description, "Comment": json.dumps(COMMENT | comment)}


def weighed(prompt: str) -> list[tuple[str, float]]:
    """NovelAI's own meaning, letter by letter: every open { counts 1.05, every open [ counts 1 / 1.05."""
    curly = square = 0
    letters = []
    for letter in prompt:
        if letter in "{[" or (letter == "}" and curly) or (letter == "]" and square):
            curly += (letter == "{") - (letter == "}")
            square += (letter == "[") - (letter == "]")
        else:
            letters.append((letter, 1.05 ** (curly - square)))
    return letters


@given(st.text("ab {}[]()\\:1.5,", max_size=40))
def test_emphasis_means_the_same(prompt: str) -> None:
    wanted = weighed(prompt)
    pieces = emphasis.parse(emphasised(prompt, numbers=False))
    found = [(letter, weight) for piece, weight in pieces for letter in piece]
    assert [letter for letter, _ in found] == [letter for letter, _ in wanted]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in wanted], abs=5e-5, rel=1e-4)


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("a cat", "a cat"),
        ("{a cat}, dog", "(a cat:1.05), dog"),
        ("{{a}, b} c", "(a:1.1025)(, b:1.05) c"),
        ("[a]", "(a:0.9524)"),
        ("{a", "(a:1.05)"),
        ("a}", "a}"),
        ("yuuka (blue archive)", r"yuuka \(blue archive\)"),
        ("1.5::rain, night ::, cat", "1.5::rain, night ::, cat"),
    ],
)
def test_emphasis(prompt: str, wanted: str) -> None:
    assert emphasised(prompt, numbers=False) == wanted


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("1.5::rain, night ::, cat", "(rain, night :1.5), cat"),
        ("-1::hat::, cat", "(hat:-1), cat"),
        ("2::{a}::", "(a:2.1)"),
        (".5::a", "(a:0.5)"),
        ("v1.5::a", "v1.5a"),
    ],
)
def test_emphasis_by_numbers(prompt: str, wanted: str) -> None:
    assert emphasised(prompt, numbers=True) == wanted


def test_the_text_is_that_of_a1111() -> None:
    assert translate(None, items(), (8, 6)) == (
        "a cat\nNegative prompt: lowres\n"
        "Steps: 28, Sampler: DPM++ 2M, CFG scale: 11.0, Seed: 7, Size: 8x6, Clip skip: 2, ENSD: 31337"
    )


@pytest.mark.parametrize(
    ("sampler", "label"),
    [("k_euler_ancestral", "Euler a"), ("k_dpm_2_ancestral", "DPM2 a"), ("plms", "PLMS"), ("nai_smea", "Euler a")],
)
def test_samplers(sampler: str, label: str) -> None:
    text = translate(None, items(sampler=sampler), (8, 6))
    assert text is not None
    assert infotext.parse(text)["Sampler"] == label


def test_a_picture_of_v4() -> None:
    people = [{"char_caption": "girl, {red hair}", "centers": [{"x": 0.5, "y": 0.5}]}, {"char_caption": "boy"}]
    comment = {
        **{
            "prompt": "2people, 1.5::rain::",
            "noise_schedule": "karras",
            "cfg_rescale": 0.2,
            "width": 832,
            "height": 1216,
        },
        "v4_prompt": {"caption": {"base_caption": "2people, 1.5::rain::", "char_captions": people}},
        "v4_negative_prompt": {"caption": {"base_caption": "[[bad]]", "char_captions": []}},
    }
    packed = json.dumps(items("2people, 1.5::rain::", **comment))
    found = infotext.parse(str(translate(packed, {}, None)))  # as in WebP, pasted
    assert found["Prompt"] == "2people, (rain:1.5)\ngirl, (red hair:1.05)\nboy"
    assert found["Negative prompt"] == "(bad:0.907)"
    assert (found["Schedule type"], found["CFG rescale"]) == ("Karras", "0.2")
    assert (found["Size-1"], found["Size-2"]) == ("832", "1216")


@pytest.mark.parametrize("chunks", [{}, {"Comment": "{"}, {"Comment": "{}"}, items() | {"Software": "other"}])
def test_what_is_incomplete_is_not_read(chunks: dict[str, str]) -> None:
    assert read(Source(infotext="", items={"Software": "NovelAI"} | chunks, size=(8, 6))) is None
