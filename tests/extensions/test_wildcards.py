"""The same seed draws the same prompt; the infotext has what was drawn and where it came from."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from extensions.wildcards import grammar
from extensions.wildcards.files import Files
from modules.generate.request import Txt2Img
from modules.prompts import infotext
from tests.studio import Bench

JOB = Txt2Img(seed=5, subseed=5, width=64, height=64, steps=1)
WORDS = {"animal": ["cat", "dog"], "deep": ["{big|small} __animal__"], "self": ["__self__ again"]}


def drawn(template: str, seed: int = 1) -> str:
    return grammar.resolved(template, lambda name: WORDS.get(name, ()), Random(seed))


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    (bench.folder / "wildcards" / "wild").mkdir(parents=True)
    (bench.folder / "wildcards" / "wild" / "animal.txt").write_text("# a comment\ncat\n\ndog # barks\n")
    with bench.extended("wildcards"):
        yield


@pytest.mark.parametrize(
    "text", ["a cat", "{masterpiece}", "a {{cat}}", "__nothing here__", "snake_case__", "(a:1.2) [b|c]", "\\{a|b}"]
)
def test_what_is_no_template_stays(text: str) -> None:
    assert drawn(text) == text
    assert text == "__nothing here__" or not grammar.is_template(text)


def test_a_seed_draws_one_thing_and_seeds_draw_all() -> None:
    assert len({drawn("{a|b|c} __animal__", 7) for _ in range(5)}) == 1
    assert {drawn("{a|b|c} __animal__", seed) for seed in range(60)} == {
        f"{one} {two}" for one in "abc" for two in ("cat", "dog")
    }


def test_they_stand_in_each_other() -> None:
    assert {drawn("{__deep__|x}", seed) for seed in range(60)} == {"x", "big cat", "small cat", "big dog", "small dog"}
    assert {drawn("{a{1|2}|b}", seed) for seed in range(60)} == {"a1", "a2", "b"}


@pytest.mark.parametrize(
    ("template", "counts", "joint"),
    [
        ("{2$$a|b|c}", {2}, ", "),
        ("{2$$ and $$a|b|c}", {2}, " and "),
        ("{1-3$$a|b|c}", {1, 2, 3}, ", "),
        ("{-2$$a|b|c}", {0, 1, 2}, ", "),
        ("{2-$$a|b|c}", {2, 3}, ", "),
        ("{9$$a|b|c}", {3}, ", "),
    ],
)
def test_several_different_ones(template: str, counts: set[int], joint: str) -> None:
    found = [drawn(template, seed) for seed in range(80)]
    picked = [each.split(joint) if each else [] for each in found]
    assert {len(each) for each in picked} == counts
    assert all(len(set(each)) == len(each) and set(each) <= set("abc") for each in picked)


def test_weights() -> None:
    found = collections.Counter(drawn("{3::a|b|0::never}", seed) for seed in range(2000))
    assert found["never"] == 0
    assert found["a"] / 2000 == pytest.approx(0.75, abs=0.04)


def test_one_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="names itself"):
        drawn("__self__")


def test_files_are_found_by_name_and_pattern(tmp_path: Path) -> None:
    first, second = tmp_path / "mine", tmp_path / "shipped"
    for folder, name, text in (
        (first, "colour", "red"),
        (second, "colour", "blue"),
        (second, "art/styles", "oil\n# no\n ink "),
        (second, "art/tools", "brush"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.txt").write_text(text)
    files = Files([first, second])
    assert files.names() == ["art/styles", "art/tools", "colour"]
    assert files.lines("Colour") == ["red"]
    assert files.lines("art/styles") == ["oil", "ink"]
    assert files.lines("art/*") == ["oil", "ink", "brush"]
    assert files.lines("../../etc/passwd") == []


def test_each_picture_draws_by_its_own_seed_and_the_infotext_tells(bench: Bench) -> None:
    request = Txt2Img(
        **{**vars(JOB), "prompt": "a {red|blue} __wild/animal__", "negative_prompt": "{x|y}", "n_iter": 4}
    )
    first, second = (bench.make(request)["info"] for _ in range(2))
    assert first["all_prompts"] == second["all_prompts"]
    assert len(set(first["all_prompts"])) > 1
    assert set(first["all_prompts"]) <= {f"a {one} {two}" for one in ("red", "blue") for two in ("cat", "dog")}
    parsed = infotext.parse(first["infotexts"][0])
    assert parsed["Prompt"] == first["all_prompts"][0]
    assert parsed["Template"] == "a {red|blue} __wild/animal__"
    assert parsed["Negative Template"] == "{x|y}"
    assert parsed["Negative prompt"] in ("x", "y")


def test_plain_prompts_are_told_plainly_and_the_setting_switches_it_off(bench: Bench) -> None:
    plain = bench.make(Txt2Img(**{**vars(JOB), "prompt": "a cat"}))["info"]["infotexts"][0]
    assert "Template" not in plain
    off = bench.make(Txt2Img(**{**vars(JOB), "prompt": "a {red|blue} cat"}), wildcards_enabled=False)
    assert off["info"]["infotexts"][0].startswith("a {red|blue} cat\n")


def test_an_unknown_file_is_named(bench: Bench) -> None:
    result = bench.make(Txt2Img(**{**vars(JOB), "prompt": "a __lost__ {cat|cat}"}))
    assert "there is no file for __lost__" in " ".join(result["comments"])


def test_the_second_pass_has_the_same_prompt(bench: Bench) -> None:
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.5}
    text = bench.make(Txt2Img(**{**vars(JOB), **hires, "prompt": "a {red|blue|green} cat"}))["info"]["infotexts"][0]
    assert "Hires prompt" not in text
