"""Infotexts: what is written is read back, and both directions agree with A1111."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modules.prompts.infotext import parse, with_defaults, write

GOLDEN = Path(__file__).parents[3] / "shared" / "reference" / "golden" / "cases.jsonl"
LINE = st.text(st.characters(exclude_characters="\n")).map(str.strip)
LINES = st.lists(LINE).map(lambda lines: "\n".join(lines).strip())
PROMPTS = LINES.filter(lambda text: "Negative prompt:" not in text)
KEYS = st.text("abcXYZ019_é-/ ", min_size=2).filter(lambda key: len(key.strip(" -/")) >= 2 and key == key.lstrip(" -/"))
ODD = st.characters(codec=None) | st.sampled_from(',:"\\\n\r\t\u2028\x00 é日🐱')
VALUES = st.text(ODD).filter(lambda value: not looks_like_size(value))


def looks_like_size(value: str) -> bool:
    width, _, height = value.partition("x")
    return width.isdecimal() and height.isdecimal()


@given(PROMPTS, PROMPTS, st.dictionaries(KEYS, VALUES, min_size=3))
def test_what_is_written_is_read_back(prompt: str, negative: str, fields: dict[str, str]) -> None:
    assume(all(key != value for key, value in fields.items()))
    assert parse(write(prompt, negative, fields)) == {**fields, "Prompt": prompt, "Negative prompt": negative}


def test_every_character_survives_in_a_value() -> None:
    characters = [chr(code) for code in [*range(0x3000), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10000), 0x1F431]]
    for start in range(0, len(characters), 500):
        value = "".join(characters[start : start + 500])
        assert parse(write("a", "b", {"Aa": value, "Bb": 1, "Cc": 2}))["Aa"] == value


@given(st.text(ODD))
def test_any_text_parses(text: str) -> None:
    parsed = parse(text)
    assert {"Prompt", "Negative prompt"} <= set(parsed)
    assert set(with_defaults(parsed)) >= set(parsed)


WORDS = ["Size", "First pass size", "Version", "Hypernet", ": ", ", ", '"', "0x0", "9x9", "v1.5.2", "\\"]


@given(st.lists(st.sampled_from(WORDS)))
def test_any_line_of_fields_parses(parts: list[str]) -> None:
    text = "prompt\nSteps: 1, Seed: 2, Model: m, " + "".join(parts)
    assert with_defaults(parse(text))["Steps"] == "1"


@pytest.mark.parametrize(
    "text", ["a" * 100_000, 'ab:"' * 30_000, " " * 100_000 + "a:", 'ab:"\\",' * 20_000, "a b" * 50_000]
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    start = time.perf_counter()
    parse(text)
    assert time.perf_counter() - start < 3


def test_values_that_are_none_are_left_out() -> None:
    assert write("a", "", {"Steps": 1, "VAE": None, "Seed": 2}) == "a\nSteps: 1, Seed: 2"


def test_a_key_that_is_its_value_stands_alone() -> None:
    assert write("", "", {"Tiling": "Tiling", "Seed": 2}) == "Tiling, Seed: 2"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("x: 1, y: 2", '"x: 1, y: 2"'),
        ("a b", "a b"),
        ("", ""),
        (7.0, "7.0"),
        ('say "a", b', r'"say \"a\", b"'),
        (True, "True"),
    ],
)
def test_values_are_quoted_as_in_a1111(value: object, written: str) -> None:
    assert write("", "", {"Key": value, "Seed": 2}) == f"Key: {written}, Seed: 2"


def test_prompts_of_several_lines() -> None:
    text = "a cat,\n\nin a garden\nNegative prompt: ugly\nblurry\nSteps: 20, Sampler: DPM++ 2M Karras, Size: 512x768"
    assert parse(text) == {
        "Steps": "20",
        "Sampler": "DPM++ 2M Karras",
        "Size-1": "512",
        "Size-2": "768",
        "Prompt": "a cat,\n\nin a garden",
        "Negative prompt": "ugly\nblurry",
    }


def test_a_last_line_with_less_than_three_fields_is_prompt() -> None:
    text = "a cat\nsteps: two, seed: three"
    assert parse(text) == {"Prompt": text, "Negative prompt": ""}


EVERYTHING = {
    "Refiner switch by sampling steps",
    "Downcast alphas_cumprod",
    "Old prompt editing timelines",
    "Pad conds v0",
}


@pytest.mark.parametrize(
    ("version", "added"),
    [
        ("v1.10.1", set()),
        ("v1.8.0", set()),
        ("v1.7.0-225-g0123456", {"Refiner switch by sampling steps"}),
        ("v1.7.0-224-g0123456", {"Refiner switch by sampling steps", "Downcast alphas_cumprod"}),
        ("v1.6.0", {"Refiner switch by sampling steps", "Downcast alphas_cumprod"}),
        ("v1.6.0-RC-20-g01", EVERYTHING),
        ("v1.5.2", EVERYTHING),
        ("easel 0.1", set()),
        ("", set()),
    ],
)
def test_older_versions_bring_their_behaviour_back(version: str, added: set[str]) -> None:
    parsed = parse(f"a [b:c:3]\nSteps: 20, Sampler: DDIM, Seed: 1, Refiner: r, Version: {version}")
    compatible, plain = with_defaults(parsed), with_defaults(parsed, backward_compatible=False)
    assert {key for key, value in compatible.items() if plain.get(key) != value} == added


def test_old_first_pass_size_becomes_hires_resize() -> None:
    text = "a\nSteps: 1, Seed: 2, Size: 1024x768, First pass size: {}"
    given_size = with_defaults(parse(text.format("512x384")))
    assert [given_size[f"{key}-{side}"] for key in ("Size", "Hires resize") for side in (1, 2)] == [512, 384, 1024, 768]
    computed = with_defaults(parse(text.format("0x0")))
    assert [computed["Size-1"], computed["Size-2"]] == [640, 448]


def test_old_hypernetwork_moves_into_the_prompt() -> None:
    text = "a cat\nSteps: 1, Seed: 2, Hypernet: anime, Hypernet strength: 0.5"
    assert with_defaults(parse(text))["Prompt"] == "a cat<hypernet:anime:0.5>"


def golden() -> list[dict[str, Any]]:
    if not GOLDEN.exists():
        pytest.skip("the reference pictures of A1111 are not here")
    return [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


def test_defaults_of_a_minimal_text() -> None:
    """What A1111 1.10.1 answers for "a cat" without emphasis, negative prompt and version."""
    assert with_defaults(parse("a cat\nSteps: 20, Sampler: Euler, Seed: 1")) == {
        "Steps": "20",
        "Sampler": "Euler",
        "Seed": "1",
        "Prompt": "a cat",
        "Negative prompt": "",
        "Clip skip": "1",
        "Hires resize-1": 0,
        "Hires resize-2": 0,
        "Hires sampler": "Use same sampler",
        "Hires schedule type": "Use same scheduler",
        "Hires checkpoint": "Use same checkpoint",
        "Hires prompt": "",
        "Hires negative prompt": "",
        "Mask mode": "Inpaint masked",
        "Masked content": "original",
        "Inpaint area": "Whole picture",
        "Masked area padding": 32,
        "RNG": "GPU",
        "Schedule type": "Automatic",
        "Schedule max sigma": 0,
        "Schedule min sigma": 0,
        "Schedule rho": 0,
        "VAE Encoder": "Full",
        "VAE Decoder": "Full",
        "FP8 weight": "Disable",
        "Refiner switch by sampling steps": False,
    }


@pytest.mark.parametrize(
    ("prompt", "weighed"), [("(a:1.2)", True), ("[a]", True), ("(a:1)", False), ("a BREAK b", False)]
)
def test_emphasis_is_named_where_the_prompt_uses_it(prompt: str, weighed: bool) -> None:
    for text in (prompt, f"a\nNegative prompt: {prompt}"):
        assert ("Emphasis" in with_defaults(parse(f"{text}\nSteps: 20, Sampler: Euler, Seed: 1"))) is weighed


def test_png_info_of_a1111() -> None:
    cases = [case["response"] for case in golden() if case["group"] == "png-info"]
    assert cases
    for response in cases:
        result = with_defaults(parse(response["info"]))
        assert result == response["parameters"]
        assert list(result) == list(response["parameters"])


def test_infotexts_of_a1111_are_written_again() -> None:
    infos = [case["response"].get("info") for case in golden()]
    texts = {text for info in infos if isinstance(info, dict) for text in info["infotexts"]}
    assert len(texts) > 300
    for text in texts - {text for text in texts if text.startswith("a cat \n")}:  # white space at a line's end
        fields = parse(text)
        prompt, negative = fields.pop("Prompt"), fields.pop("Negative prompt")
        sizes = {key[:-2]: f"{value}x{fields[key[:-2] + '-2']}" for key, value in fields.items() if key.endswith("-1")}
        joined = {key.removesuffix("-1"): sizes.get(key.removesuffix("-1"), value) for key, value in fields.items()}
        assert write(prompt, negative, {key: value for key, value in joined.items() if not key.endswith("-2")}) == text
