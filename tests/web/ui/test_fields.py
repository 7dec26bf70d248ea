"""Infotext -> form -> request: what one picture's text says is what the next request asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.core.errors import BadRequest
from modules.prompts import infotext
from modules.samplers.catalog import builtin
from modules.settings import builtin as builtin_options
from modules.settings.options import Options, Registry, Snapshot
from modules.web.ui import fields

REGISTRY: Registry = builtin_options.registry()
DEFAULTS = Snapshot(REGISTRY)
FORM: dict[str, Any] = {
    "prompt": "",
    "negative_prompt": "",
    "sampler": "DPM++ 2M",
    "scheduler": "Automatic",
    "steps": 20,
    "width": 512,
    "height": 512,
    "batch_count": 1,
    "batch_size": 1,
    "cfg_scale": 7.0,
    "seed": -1,
    "subseed_show": False,
    "subseed": -1,
    "subseed_strength": 0.0,
    "seed_resize_from_w": 0,
    "seed_resize_from_h": 0,
    "enable_hr": False,
    "denoising_strength": 0.7,
    "hr_scale": 2.0,
    "hr_upscaler": "Latent",
    "hr_second_pass_steps": 0,
    "hr_resize_x": 0,
    "hr_resize_y": 0,
    "hr_checkpoint_name": "Use same checkpoint",
    "hr_sampler_name": "Use same sampler",
    "hr_scheduler": "Use same scheduler",
    "hr_prompt": "",
    "hr_negative_prompt": "",
    "hr_cfg": 0,
    "enable_refiner": False,
    "refiner_checkpoint": "None",
    "refiner_switch_at": 0.8,
    "override_settings": [],
}


def paste(text: str, current: Snapshot = DEFAULTS) -> fields.Pasted:
    return fields.paste(infotext.parse(text), registry=REGISTRY, current=current, catalog=builtin())


@given(
    prompt=st.text("abc (:1.2),\n", max_size=40).map(str.strip),
    steps=st.integers(1, 150),
    width=st.integers(8, 256).map(lambda number: number * 8),
    seed=st.integers(0, 2**32 - 1),
    cfg_scale=st.integers(2, 60).map(lambda number: number / 2),
    sampler=st.sampled_from([row.name for row in builtin().samplers()]),
    scheduler=st.sampled_from([row.label for row in builtin().schedulers()]),
)
def test_a_request_comes_back_from_its_infotext(**wanted: Any) -> None:
    """txt2img(form + paste(text)) asks for what the text says."""
    prompt = "\n".join(line.strip() for line in wanted["prompt"].split("\n")).strip()
    text = infotext.write(
        prompt,
        "blurry",
        {
            "Steps": wanted["steps"],
            "Sampler": wanted["sampler"],
            "Schedule type": wanted["scheduler"],
            "CFG scale": wanted["cfg_scale"],
            "Seed": wanted["seed"],
            "Size": f"{wanted['width']}x512",
            "RNG": "NV",
        },
    )
    pasted = paste(text)
    request = fields.txt2img(FORM | dict(pasted.values), REGISTRY)
    assert request.prompt == prompt
    assert request.negative_prompt == "blurry"
    assert (request.steps, request.seed, request.cfg_scale) == (wanted["steps"], wanted["seed"], wanted["cfg_scale"])
    assert (request.sampler_name, request.scheduler) == (wanted["sampler"], wanted["scheduler"])
    assert (request.width, request.height) == (wanted["width"], 512)
    assert pasted.overrides == ()


@given(st.text(max_size=200))
def test_any_text_can_be_pasted(text: str) -> None:
    """No text raises, and every field it fills is one of the form's."""
    assert set(paste(text).values) <= set(FORM) | {"mask_blur", "inpaint_full_res_padding", "image_cfg_scale"}


def test_hires_fix_and_refiner_are_ticked_by_their_labels_alone() -> None:
    text = "cat\nSteps: 5, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    plain = fields.txt2img(FORM | dict(paste(text).values), REGISTRY)
    assert (plain.enable_hr, plain.refiner_checkpoint) == (False, None)
    more = "Denoising strength: 0.4, Hires upscale: 1.5, Hires steps: 3, Hires upscaler: Lanczos, Hires sampler: LMS"
    given = FORM | dict(paste(f"{text}, {more}, Refiner: other, Refiner switch at: 0.6").values)
    made = fields.txt2img(given, REGISTRY)
    assert (made.enable_hr, made.denoising_strength, made.hr_scale, made.hr_second_pass_steps) == (True, 0.4, 1.5, 3)
    assert (made.hr_upscaler, made.hr_sampler_name, made.hr_checkpoint_name) == ("Lanczos", "LMS", None)
    assert (made.refiner_checkpoint, made.refiner_switch_at) == ("other", 0.6)


def test_a_plain_prompt_changes_only_the_prompts() -> None:
    pasted = paste("just a cat")
    assert dict(pasted.values) == {"prompt": "just a cat", "negative_prompt": ""}
    assert pasted.overrides == ()


def test_old_joined_sampler_names_are_split() -> None:
    pasted = paste("cat\nSteps: 5, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 1, Size: 64x64")
    assert (pasted.values["sampler"], pasted.values["scheduler"]) == ("DPM++ 2M", "Karras")


def test_unknown_samplers_and_words_for_numbers_are_said_and_left_alone() -> None:
    pasted = paste("cat\nSteps: many, Sampler: Nonesuch 9000, CFG scale: 7, Seed: 1, Size: 64x64")
    assert "steps" not in pasted.values
    assert "sampler" not in pasted.values
    assert any("many" in remark for remark in pasted.notes)
    assert any("Nonesuch 9000" in remark for remark in pasted.notes)


def test_settings_of_the_text_become_overrides_and_go_into_the_request() -> None:
    pasted = paste("cat\nSteps: 5, Sampler: Euler, Seed: 1, Size: 64x64, Clip skip: 2, ENSD: 31337, RNG: CPU")
    assert set(pasted.overrides) == {"Clip skip: 2", "ENSD: 31337", "RNG: CPU"}
    request = fields.txt2img(FORM | dict(pasted.values) | {"override_settings": list(pasted.overrides)}, REGISTRY)
    assert request.override_settings == {
        "CLIP_stop_at_last_layers": 2,
        "eta_noise_seed_delta": 31337,
        "randn_source": "CPU",
    }


def test_an_a1111_text_without_rng_means_the_gpu_source() -> None:
    """A1111 leaves its default out of the text, and its default is not ours."""
    assert "RNG: GPU" in paste("cat\nSteps: 5, Sampler: Euler, Seed: 1, Size: 64x64, Version: v1.10.1").overrides


def test_values_that_hold_already_are_no_overrides(tmp_path: Path) -> None:
    options = Options(REGISTRY, tmp_path / "config.json")
    options.set({"CLIP_stop_at_last_layers": 2})
    text = "cat\nSteps: 5, Sampler: Euler, Seed: 1, Size: 64x64, Clip skip: 2, RNG: NV"
    assert paste(text, options.snapshot()).overrides == ()


def test_the_checkpoint_is_taken_only_where_the_option_allows(tmp_path: Path) -> None:
    text = "cat\nSteps: 5, Sampler: Euler, Seed: 1, Size: 64x64, Model hash: b856c004a2, RNG: NV"
    assert paste(text).overrides == ()
    allowed = DEFAULTS.overlay({"disable_weights_auto_swap": False})
    assert paste(text, allowed).overrides == ("Model hash: b856c004a2",)


def test_labels_to_skip_are_skipped() -> None:
    current = DEFAULTS.overlay({"infotext_skip_pasting": ["Seed", "Clip skip"]})
    pasted = paste("cat\nSteps: 5, Sampler: Euler, Seed: 1, Size: 64x64, Clip skip: 2, RNG: NV", current)
    assert "seed" not in pasted.values
    assert pasted.overrides == ()


def test_variation_fields_open_extra_and_count_only_then() -> None:
    text = "cat\nSteps: 5, Sampler: Euler, Seed: 1, Variation seed: 7, Variation seed strength: 0.5, RNG: NV"
    values = FORM | dict(paste(text).values)
    assert values["subseed_show"] is True
    request = fields.txt2img(values, REGISTRY)
    assert (request.subseed, request.subseed_strength) == (7, 0.5)
    closed = fields.txt2img(values | {"subseed_show": False}, REGISTRY)
    assert (closed.subseed, closed.subseed_strength) == (-1, 0.0)


@pytest.mark.parametrize(("field", "value"), [("steps", None), ("width", 12.5), ("cfg_scale", float("nan"))])
def test_an_unusable_number_names_its_field(field: str, value: float | None) -> None:
    with pytest.raises(BadRequest) as caught:
        fields.txt2img(FORM | {field: value}, REGISTRY)
    assert caught.value.field == field


def test_an_emptied_seed_is_a_random_one() -> None:
    assert fields.txt2img(FORM | {"seed": None}, REGISTRY).seed == -1


@pytest.mark.parametrize("entry", ["Nonesuch: 3", "no colon", "Clip skip: many"])
def test_an_unusable_override_is_refused(entry: str) -> None:
    with pytest.raises(BadRequest, match=r"override|Override"):
        fields.txt2img(FORM | {"override_settings": [entry]}, REGISTRY)
