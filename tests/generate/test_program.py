"""Laws of prompts as guidance sees them: schedules become conditioning, AND becomes several prompts, nothing twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from modules.core.errors import BadRequest, EaselError
from modules.generate import program
from modules.generate.guidance import Program
from modules.generate.request import Txt2Img
from modules.loading.families import TABLE
from modules.loading.text import TextModel
from modules.prompts.chunks import TextPolicy
from modules.prompts.editing import Timeline
from tests.generate.test_run import SMALL, far
from tests.studio import Bench

POLICY = TextPolicy(emphasis="No norm")


@pytest.fixture(scope="module")
def encoder(bench: Bench) -> TextModel:
    return bench.studio.shelf.get(bench.library.find("tiny-sd1")).text


def encoded(encoder: TextModel, *prompts: str, negative: str = "", policy: TextPolicy = POLICY) -> Program:
    return program.encoded(encoder, prompts, [negative] * len(prompts), policy, Timeline(steps=4))


def test_an_edited_prompt_is_encoded_as_its_texts(encoder: TextModel) -> None:
    made = encoded(encoder, "a [cat:dog:2]", negative="[x|y]")
    for call, text, other in ((0, "a cat", "x"), (1, "a cat", "x"), (2, "a cat", "y"), (3, "a dog", "x")):
        now = made.at(call)
        assert torch.allclose(now.positive.context, encoder.encode(text, POLICY), atol=1e-5)
        assert torch.allclose(now.negative.context, encoder.encode(other, POLICY), atol=1e-5)


def test_and_makes_several_prompts_of_unequal_pictures(encoder: TextModel) -> None:
    now = encoded(encoder, "a cat :0.5 AND a dog BREAK a house", "a bird").at(0)
    assert now.owners == (0, 0, 1)
    assert now.weights == (0.5, 1.0, 1.0)
    assert now.positive.context.shape[:2] == (3, 154)
    assert torch.equal(
        now.positive.context[2, 77:], now.positive.context[2, 76:77].expand(77, -1)
    )  # the shorter repeat their end
    assert now.negative.context.shape[:2] == (2, 77)


def test_and_is_a_word_in_negative_prompts(encoder: TextModel) -> None:
    now = encoded(encoder, "a cat", negative="ugly AND bad :2").at(0)
    assert torch.allclose(now.negative.context, encoder.encode("ugly AND bad :2", POLICY), atol=1e-5)


def test_original_emphasis_keeps_the_mean_over_the_whole_schedule(encoder: TextModel) -> None:
    plain, weighed = (
        encoded(encoder, "a [(cat:1.4):dog:1]", policy=TextPolicy(emphasis=mode)) for mode in ("Ignore", "Original")
    )
    means = [
        sum(each.prompts[0][0][0].entries[index][1].tokens.mean() for index in (0, 1)) for each in (plain, weighed)
    ]
    assert float(means[0]) == pytest.approx(float(means[1]), abs=1e-5)
    apart = encoder.encode("a dog", TextPolicy())
    assert not torch.allclose(
        weighed.at(3).positive.context, apart, atol=1e-5
    )  # the other text's weight reaches this one


@pytest.mark.parametrize(
    ("prompt", "same"),
    [
        ("a [cat:dog:0]", "a dog"),
        ("a [cat:dog:9]", "a cat"),
        ("a cat :1", "a cat"),
        ("[a cat|a cat]", "a cat"),
        ("a cat :0.25 AND a cat :0.75", "a cat"),
        ("a cat AND a dog :0", "a cat"),
    ],
)
def test_equal_meanings_make_equal_pictures(bench: Bench, prompt: str, same: str) -> None:
    first, second = (bench.images(Txt2Img(**{**SMALL, "prompt": text}))[0] for text in (prompt, same))
    assert far(first, second) <= 1


def test_edits_and_old_ways_change_pictures(bench: Bench) -> None:
    plain = bench.images(Txt2Img(**SMALL))[0]
    for prompt in ("a [cat:house:1]", "a [cat|house]", "a cat AND a house"):
        assert far(plain, bench.images(Txt2Img(**{**SMALL, "prompt": prompt}))[0]) > 0
    asked = Txt2Img(**{**SMALL, "prompt": "a [cat:house:1.0] (red:1.4)"})
    assert far(bench.images(asked)[0], bench.images(asked, use_old_scheduling=True)[0]) > 0
    assert far(bench.images(asked)[0], bench.images(asked, use_old_emphasis_implementation=True)[0]) > 0


def test_old_timelines_are_noted_where_they_matter(bench: Bench) -> None:
    for prompt, noted in (("a [cat:dog:1.0]", True), ("a [cat:dog:0.5]", False), ("a cat", False)):
        result = bench.make(Txt2Img(**{**SMALL, "prompt": prompt, "steps": 2}), use_old_scheduling=True)
        assert ("Old prompt editing timelines: True" in result["info"]["infotexts"][0]) is noted


def test_emphasis_is_noted_only_for_brackets_that_remain(bench: Bench) -> None:
    for prompt, noted in (("a [cat:dog:1]", False), ("a [(cat:1.2):dog:1]", True), ("a [[cat]:1]", True)):
        result = bench.make(Txt2Img(**{**SMALL, "prompt": prompt, "steps": 2}), emphasis="No norm")
        assert ("Emphasis: No norm" in result["info"]["infotexts"][0]) is noted


@pytest.mark.parametrize("option", ["pad_cond_uncond", "pad_cond_uncond_v0"])
def test_padding_is_noted(bench: Bench, option: str) -> None:
    label = {"pad_cond_uncond": "Pad conds: True", "pad_cond_uncond_v0": "Pad conds v0: True"}[option]
    for prompt, noted in (("a BREAK b", True), ("a", False)):
        result = bench.make(Txt2Img(**{**SMALL, "prompt": prompt, "steps": 1}), **{option: True})
        assert (label in result["info"]["infotexts"][0]) is noted


def test_padding_is_what_the_encoder_says_without_networks(bench: Bench) -> None:
    """A1111 works it out when it loads the model, before any LoRA."""
    seen: list[Any] = []
    remove = bench.moments.batch_ready.add(lambda event: seen.append(event.program.empty), owner="test")
    try:
        for prompt in ("a BREAK b", "a BREAK b <lora:tiny-lora:1>"):
            bench.make(Txt2Img(**{**SMALL, "prompt": prompt, "steps": 1}), pad_cond_uncond=True)
        bench.make(Txt2Img(**{**SMALL, "prompt": "a <lora:tiny-lora:1>", "steps": 1}))
    finally:
        remove()
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_styles_are_part_of_the_prompt_and_unknown_ones_are_told(bench: Bench) -> None:
    result = bench.make(Txt2Img(**{**SMALL, "steps": 1}, styles=("tinystyle2", "nosuch")))
    assert result["info"]["prompt"] == "a postcard of a cat, sunny"
    assert result["info"]["styles"] == ["tinystyle2", "nosuch"]
    assert any("nosuch" in comment for comment in result["comments"])


@pytest.mark.parametrize(
    "prompt",
    ["word " * 10_000, "[a|b]" * 2_000, "(" * 100_000, "a AND " * 40, "[" * 1_000 + "a" + ":1]" * 1_000, "a:1e30"],
    ids=["long", "choices", "brackets", "ands", "edits", "weight"],
)
def test_absurd_prompts_make_a_picture(bench: Bench, prompt: str) -> None:
    assert len(bench.images(Txt2Img(**{**SMALL, "prompt": prompt, "steps": 1}))) == 1


def test_more_prompts_than_a_machine_can_hold_are_refused(bench: Bench) -> None:
    with pytest.raises(BadRequest, match="1001 prompts") as caught:
        bench.make(Txt2Img(**{**SMALL, "prompt": "a AND " * 1000}))
    assert caught.value.field == "prompt"


@pytest.mark.parametrize("prompt", [f"a cat :{'9' * 400}", f"a (cat:{'9' * 400})", f"a (cat:-{'9' * 400}) house"])
def test_weights_beyond_all_numbers_end_in_a_picture_or_a_message(bench: Bench, prompt: str) -> None:
    try:
        pictures = len(bench.images(Txt2Img(**{**SMALL, "prompt": prompt, "steps": 2})))
    except EaselError as error:
        assert "not finite" in str(error)  # noqa: PT017 - either end is right
    else:
        assert pictures == 1
    assert len(bench.images(Txt2Img(**{**SMALL, "steps": 1}))) == 1  # and the next job is none the worse


@pytest.mark.parametrize(
    ("family", "positive", "negative"),
    [
        ("sd1", None, None),
        ("sdxl", (64, 96, 8, 16, 64, 96), (64, 96, 8, 16, 64, 96)),
        ("sdxl-refiner", (64, 96, 8, 16, 9), (64, 96, 8, 16, 1)),
    ],
)
def test_networks_of_the_sdxl_line_are_told_sizes_crops_and_scores(
    bench: Bench, family: str, positive: tuple[int, ...] | None, negative: tuple[int, ...] | None
) -> None:
    row = next(row for row in TABLE if row.id == family)
    changes: dict[str, float] = {"sdxl_crop_top": 8, "sdxl_crop_left": 16}
    changes |= {"sdxl_refiner_high_aesthetic_score": 9.0, "sdxl_refiner_low_aesthetic_score": 1.0}
    work: Any = SimpleNamespace(
        request=SimpleNamespace(width=96, height=64), scene=None, options=bench.options(changes)
    )
    told = program.told(row, work)
    assert (None if told is None else tuple(tuple(each.tolist()) for each in told)) == (
        None if positive is None else (positive, negative)
    )
