"""The axes are A1111's, in its order, and each changes the request in its one place."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core.errors import BadRequest
from modules.generate.request import Txt2Img
from modules.generate.scripts import axis_rows
from modules.generate.scripts.axes import Axis
from modules.settings.builtin import registry
from tests.reference.cases import SHARED

AXES = axis_rows.builtin()
REQUEST = Txt2Img(prompt="a cat and a dog by the sea", negative_prompt="cat hair", steps=20)
INFO = SHARED / "get" / "script-info.json"


def named(label: str) -> Axis:
    return next(axis for axis in AXES.of("txt2img") if axis.label == label)


def applied(label: str, value: Any, values: list[Any] | None = None, request: Txt2Img = REQUEST) -> Any:
    return named(label).apply(request, value, values or [value])


@pytest.mark.skipif(not INFO.exists(), reason="shared/reference is absent")
def test_the_menus_are_those_of_a1111() -> None:
    for script in json.loads(INFO.read_text(encoding="utf-8")):
        if script["name"] == "x/y/z plot":
            tab = "img2img" if script["is_img2img"] else "txt2img"
            assert [axis.label for axis in AXES.of(tab)] == script["args"][0]["choices"]


@pytest.mark.parametrize("axis", AXES.of("txt2img"), ids=lambda axis: axis.label)
def test_an_axis_changes_no_more_than_one_field_and_its_settings(axis: Axis) -> None:
    sample: dict[str, Any] = {
        "int": 3,
        "float": 0.5,
        "permutation": ("dog", "cat"),
        "text": {"Size": "128x64", "Prompt S/R": "cat"}.get(axis.label, "True"),
    }
    try:
        after = axis.apply(REQUEST, sample[axis.kind], [sample[axis.kind]])
    except BadRequest:  # a field that requests do not have yet
        assert axis.label in ("Face restore", "Initial noise multiplier")
        return
    changed = {
        field.name
        for field in dataclasses.fields(REQUEST)
        if getattr(after, field.name) != getattr(REQUEST, field.name)
    }
    assert len(changed - {"override_settings"}) <= (2 if axis.label == "Size" else 1)
    assert set(after.override_settings) <= set(registry())
    assert len(after.override_settings) <= 1


def test_examples() -> None:
    assert applied("Steps", 7).steps == 7
    assert applied("Var. strength", 0.5).subseed_strength == 0.5
    assert applied("Clip skip", 2).override_settings == {"CLIP_stop_at_last_layers": 2}
    assert applied("SGM noise multiplier", "True").override_settings == {"sgm_noise_multiplier": True}
    assert applied("SGM noise multiplier", "False").override_settings == {"sgm_noise_multiplier": False}
    assert applied("Styles", "fine,postcard").styles == ("fine", "postcard")
    assert applied("VAE", "auto").override_settings == {"sd_vae": "Automatic"}
    assert (applied("Size", "512 x 770").width, applied("Size", "512 x 770").height) == (512, 770)
    assert applied("UniPC Order", 9, request=dataclasses.replace(REQUEST, steps=4)).override_settings == {
        "uni_pc_order": 3
    }


def test_search_and_replace_reaches_both_prompts() -> None:
    after = applied("Prompt S/R", "bird", ["cat", "bird"])
    assert (after.prompt, after.negative_prompt) == ("a bird and a dog by the sea", "bird hair")
    with pytest.raises(BadRequest, match="horse"):
        applied("Prompt S/R", "bird", ["horse", "bird"])


@settings(deadline=None)
@given(st.permutations(["cat", "dog", "sea"]))
def test_prompt_order_keeps_what_stands_between(order: list[str]) -> None:
    after = applied("Prompt order", tuple(order))
    assert after.prompt == f"a {order[0]} and a {order[1]} by the {order[2]}"


def test_prompt_order_wants_words_that_are_there() -> None:
    with pytest.raises(BadRequest, match="horse"):
        applied("Prompt order", ("cat", "horse"))


@pytest.mark.parametrize(
    ("label", "value", "legend"),
    [
        ("Nothing", 0, ""),
        ("Steps", 20, "Steps: 20"),
        ("CFG Scale", 0.1 + 0.2, "CFG Scale: 0.3"),
        ("Prompt S/R", "a dog", "a dog"),
        ("Prompt order", ("a", "b"), "a, b"),
        ("Checkpoint name", "sd/one.safetensors [123]", "one.safetensors [123]"),
    ],
)
def test_legends(label: str, value: Any, legend: str) -> None:
    assert named(label).legend(value) == legend


def test_no_two_axes_of_a_tab_have_one_name() -> None:
    for tab in ("txt2img", "img2img"):
        labels = [axis.label for axis in AXES.of(tab)]
        assert not [pair for pair in itertools.combinations(labels, 2) if pair[0] == pair[1]]
