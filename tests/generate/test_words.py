"""Laws of a request's words: styles come first, comments go, and only what makes a difference is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.core.errors import BadRequest
from modules.generate import words
from modules.generate.request import Txt2Img
from modules.loading.loader import Model
from modules.prompts.editing import Timeline
from modules.prompts.styles import StyleBook
from modules.settings.builtin import registry
from modules.settings.options import Snapshot
from tests.studio import Bench

OPTIONS = Snapshot(registry())


def test_styles_are_applied_and_comments_taken_out_of_both(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_text("name,prompt,negative_prompt\nfine,{prompt} # style in oil,grey\n")
    request = Txt2Img(prompt="a cat", negative_prompt="fog # not mist", styles=("fine", "lost"))
    found = words.asked(request, OPTIONS, StyleBook([path]))
    assert (found.prompt.strip(), found.negative_prompt.split("\n")[0]) == ("a cat", "fog ")
    assert any('"lost"' in remark for remark in found.remarks)
    kept = words.asked(request, OPTIONS.overlay({"enable_prompt_comments": False}), StyleBook([path]))
    assert kept.prompt == "a cat # style in oil"


def test_too_many_joined_prompts_are_refused_by_their_field() -> None:
    with pytest.raises(BadRequest, match="at most 100") as raised:
        words.asked(Txt2Img(prompt=" AND ".join("x" * 101)), OPTIONS, StyleBook(), field="hr_prompt")
    assert raised.value.field == "hr_prompt"


def test_networks_in_the_negative_prompt_are_remarked_upon() -> None:
    found = words.asked(Txt2Img(negative_prompt="ugly <lora:some:0.5>"), OPTIONS, StyleBook())
    assert found.remarks == ("<lora:some:0.5> is only text in the negative prompt.",)


@pytest.mark.parametrize(
    ("prompt", "culprit"),
    [
        ("a cat <lora:some:1> (big:1.5) AND a dog :-2", None),
        ("a cat <lora:some:1e38>", "<lora:some:1e38>"),
        ("a cat <lora:some:te=1:unet=-99>", "<lora:some>"),
        ("a (big:5000) cat", '"big"'),
        ("a cat AND a dog :200", '"a dog"'),
    ],
)
def test_what_is_absurdly_strong_is_named(prompt: str, culprit: str | None) -> None:
    assert words.too_strong(prompt) == culprit


@pytest.mark.parametrize(
    ("prompt", "changes", "told"),
    [
        ("a cat", {"emphasis": "No norm"}, {}),
        ("a (cat)", {"emphasis": "No norm"}, {"Emphasis": "No norm"}),
        ("a (cat)", {"emphasis": "Original"}, {}),
        ("a [cat:dog:3]", {"use_old_scheduling": True}, {}),
        ("a [cat:dog:1.5]", {"use_old_scheduling": True}, {"Old prompt editing timelines": True}),
    ],
)
def test_only_what_makes_a_difference_is_told(prompt: str, changes: dict[str, object], told: dict[str, object]) -> None:
    assert words.notes(OPTIONS.overlay(changes), Timeline(steps=8), prompt, "") == told


def test_what_prompts_mean_is_kept_between_jobs_unless_the_option_says_no(bench: Bench) -> None:
    asked: list[object] = []
    models: list[Model] = []
    forget = bench.moments.sampling.add(lambda event: models.append(event.model), owner="test")
    request = Txt2Img(prompt="a kept house", seed=5, steps=1, width=64, height=64, sampler_name="Euler")
    bench.make(request)
    handle = models[0].text.towers["text"].register_forward_hook(lambda *_: asked.append(1))
    try:
        bench.make(request)
        assert not asked
        bench.make(request, persistent_cond_cache=False)
        assert asked
    finally:
        handle.remove()
        forget()
