"""From a body to a request: what is given wins over the infotext, the infotext over the defaults."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.request import Txt2Img
from modules.imaging.inputs import Inputs
from modules.prompts.styles import Style, StyleBook
from modules.settings.builtin import registry
from modules.settings.options import Snapshot
from modules.web.api import txt2img
from modules.web.api.schemas import StableDiffusionProcessingTxt2Img as Body

REGISTRY = registry()
OPTIONS = Snapshot(REGISTRY)
NO_STYLES = StyleBook()
TEXT = (
    "a small dog\nNegative prompt: ugly\nSteps: 6, Sampler: Euler a, Schedule type: Karras, CFG scale: 5.5, Seed: 4242,"
    " Size: 64x96, Model hash: abcdef1234, Clip skip: 2, RNG: CPU, Variation seed: 9, Variation seed strength: 0.25"
)


def made(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, format="PNG")
    return target.getvalue()


def understood(options: Snapshot = OPTIONS, book: StyleBook = NO_STYLES, **fields: Any) -> Txt2Img:
    return txt2img.request(txt2img.complete(Body(**fields), options, REGISTRY, book))


class TestInfotext:
    def test_absent_fields_come_from_it(self) -> None:
        asked = understood(infotext=TEXT)
        assert (asked.prompt, asked.negative_prompt) == ("a small dog", "ugly")
        assert (asked.steps, asked.sampler_name, asked.scheduler) == (6, "Euler a", "Karras")
        assert (asked.cfg_scale, asked.seed, asked.width, asked.height) == (5.5, 4242, 64, 96)
        assert (asked.subseed, asked.subseed_strength) == (9, 0.25)
        assert asked.override_settings == {"CLIP_stop_at_last_layers": 2, "randn_source": "CPU"}

    def test_given_fields_and_settings_stay(self) -> None:
        asked = understood(infotext=TEXT, prompt="", steps=50, override_settings={"randn_source": "NV"})
        assert (asked.prompt, asked.steps, asked.seed) == ("", 50, 4242)
        assert asked.override_settings == {"CLIP_stop_at_last_layers": 2, "randn_source": "NV"}

    def test_styles_in_its_prompts_are_named_as_the_option_says(self, tmp_path: Path) -> None:
        book = StyleBook([tmp_path / "styles.csv"])
        book.save(Style("pup", "small, {prompt}"))
        book.save(Style("dog", "dog", "ugly"))
        text = TEXT.replace("a small", "small, lively,")
        asked = understood(book=book, infotext=text)
        assert (asked.prompt, asked.negative_prompt, asked.styles) == ("lively", "", ("dog", "pup"))
        ignoring = OPTIONS.overlay({"infotext_styles": "Ignore"})
        assert understood(ignoring, book, infotext=text).prompt == "small, lively, dog"

    def test_the_old_name_of_the_sampler_counts_as_given(self) -> None:
        assert understood(infotext=TEXT, sampler_index="DPM++ 2M").sampler_name == "DPM++ 2M"

    def test_what_a1111_does_not_write_has_its_meaning_there(self) -> None:
        """Without "RNG" A1111 had taken the numbers of the device."""
        assert understood(infotext="a\nSteps: 6, Seed: 1, Size: 64x64").override_settings == {"randn_source": "GPU"}

    def test_settings_that_are_so_already_are_not_named(self) -> None:
        options = OPTIONS.overlay({"randn_source": "CPU", "CLIP_stop_at_last_layers": 2})
        assert understood(options, infotext=TEXT).override_settings == {}

    def test_labels_to_skip_are_skipped(self) -> None:
        options = OPTIONS.overlay({"infotext_skip_pasting": ["Seed", "RNG", "Prompt"]})
        asked = understood(options, infotext=TEXT)
        assert (asked.seed, asked.prompt, asked.steps) == (-1, "", 6)
        assert asked.override_settings == {"CLIP_stop_at_last_layers": 2}

    def test_the_checkpoint_is_taken_only_when_the_option_says_so(self) -> None:
        options = OPTIONS.overlay({"disable_weights_auto_swap": False})
        assert "sd_model_checkpoint" not in understood(infotext=TEXT).override_settings
        assert understood(options, infotext=TEXT).override_settings["sd_model_checkpoint"] == "abcdef1234"

    def test_one_made_with_hires_fix_asks_for_it_unless_it_is_switched_off(self) -> None:
        text = TEXT + (
            ", Denoising strength: 0.5, Hires checkpoint: other [0123456789], Hires sampler: DPM++ 2M,"
            ' Hires prompt: "a dog, big", Hires schedule type: Karras, Hires resize: 128x256, Hires steps: 4,'
            " Hires upscaler: Latent (nearest)"
        )
        asked = understood(infotext=text)
        assert (asked.enable_hr, asked.denoising_strength, asked.hr_second_pass_steps) == (True, 0.5, 4)
        assert (asked.hr_resize_x, asked.hr_resize_y, asked.hr_upscaler) == (128, 256, "Latent (nearest)")
        assert (asked.hr_checkpoint_name, asked.hr_sampler_name) == ("other [0123456789]", "DPM++ 2M")
        assert (asked.hr_scheduler, asked.hr_prompt, asked.hr_negative_prompt) == ("Karras", "a dog, big", "")
        assert not understood(infotext=text, enable_hr=False).enable_hr
        assert not understood(infotext=TEXT + ", Denoising strength: 0.5").enable_hr

    def test_one_from_before_hires_fix_had_a_factor(self) -> None:
        text = "a\nSteps: 6, Seed: 1, Size: 128x192, Denoising strength: 0.7, First pass size: 64x96"
        asked = understood(infotext=text)
        assert (asked.enable_hr, asked.width, asked.height) == (True, 64, 96)
        assert (asked.hr_resize_x, asked.hr_resize_y) == (128, 192)

    def test_one_of_another_program_is_translated(self) -> None:
        text = "a\nSteps: 6, Seed: 1, Size: 64x64, Sampler: PNDM, App: SD.Next, Parser: a1111, Variation strength: 0.5"
        asked = understood(infotext=text)
        assert (asked.sampler_name, asked.subseed_strength) == ("PLMS", 0.5)

    @pytest.mark.parametrize("wrong", ["Steps: many", "Steps: 0", "Clip skip: 99", "CFG scale: nan"])
    def test_values_in_it_are_checked_too(self, wrong: str) -> None:
        with pytest.raises(BadRequest, match="infotext: ") as caught:
            understood(infotext=f"a\nSeed: 1, Size: 64x64, {wrong}, Version: v1.10.1")
        assert caught.value.field == "infotext"

    @given(st.text(max_size=200))
    def test_any_text_is_understood_or_refused_by_name(self, text: str) -> None:
        try:
            asked = txt2img.complete(Body.model_construct(infotext=text), OPTIONS, REGISTRY, NO_STYLES)
        except BadRequest as error:
            field = error.field
        else:
            field = "infotext"
            assert asked.infotext == text
        assert field == "infotext"


class TestRequest:
    def test_defaults_are_those_of_the_request_but_for_saving(self) -> None:
        expected = dataclasses.replace(Txt2Img(), do_not_save_samples=True, do_not_save_grid=True)
        assert understood() == expected

    @pytest.mark.parametrize(
        ("fields", "samples", "grid"),
        [
            ({}, True, True),
            ({"save_images": False, "do_not_save_samples": False}, True, True),
            ({"save_images": True}, False, False),
            ({"save_images": True, "do_not_save_grid": True}, False, True),
        ],
    )
    def test_saving(self, fields: dict[str, Any], samples: bool, grid: bool) -> None:
        asked = understood(**fields)
        assert (asked.do_not_save_samples, asked.do_not_save_grid) == (samples, grid)

    def test_sides_are_asked_for_as_they_are(self) -> None:
        asked = understood(width=100, height=69)
        assert (asked.width, asked.height) == (100, 69)

    def test_every_field_arrives(self) -> None:
        given_ = {
            "prompt": "p",
            "negative_prompt": "n",
            "styles": ["s"],
            "seed": 2**64 - 1,
            "subseed": 3,
            "subseed_strength": 0.5,
            "seed_resize_from_h": 64,
            "seed_resize_from_w": 72,
            "sampler_name": "Euler a",
            "scheduler": "Karras",
            "batch_size": 2,
            "n_iter": 3,
            "steps": 4,
            "cfg_scale": 5.5,
            "width": 128,
            "height": 256,
            "eta": 0.5,
            "s_min_uncond": 1.0,
            "s_churn": 2.0,
            "s_tmax": 3.0,
            "s_tmin": 0.5,
            "s_noise": 1.01,
            "enable_hr": True,
            "denoising_strength": 0.4,
            "firstphase_width": 64,
            "firstphase_height": 72,
            "hr_scale": 1.5,
            "hr_upscaler": "Lanczos",
            "hr_second_pass_steps": 7,
            "hr_resize_x": 200,
            "hr_resize_y": 300,
            "hr_checkpoint_name": "other",
            "hr_sampler_name": "DDIM",
            "hr_scheduler": "Simple",
            "hr_prompt": "q",
            "hr_negative_prompt": "m",
            "override_settings": {"jpeg_quality": 5},
        }
        asked = understood(**given_, save_images=True)
        expected = Txt2Img(**{**given_, "styles": ("s",)})
        assert asked == expected

    def test_the_samplers_old_name_is_read_when_the_new_one_is_absent(self) -> None:
        assert understood(sampler_index="Euler a").sampler_name == "Euler a"
        assert understood(sampler_index="Euler a", sampler_name="DPM++ 2M").sampler_name == "DPM++ 2M"
        assert understood(sampler_index=None).sampler_name == "Euler"


class TestFirstPass:
    PICTURE = base64.b64encode(made(Image.new("RGB", (72, 40), "red"))).decode()

    def test_its_picture_is_kept_as_a_file_and_gives_the_size(self, tmp_path: Path) -> None:
        inputs = Inputs(tmp_path)
        asked = txt2img.with_first_pass(understood(enable_hr=True), self.PICTURE, inputs)
        assert (asked.width, asked.height) == (72, 40)
        assert asked.firstpass_image is not None
        assert inputs.open(asked.firstpass_image, field="firstpass_image").size == (72, 40)

    def test_without_hires_fix_it_is_of_no_use(self, tmp_path: Path) -> None:
        assert txt2img.with_first_pass(understood(), self.PICTURE, Inputs(tmp_path)) == understood()

    @pytest.mark.parametrize("wrong", ["aGVsbG8=", "no base64!", "http://somewhere/a.png"])
    def test_what_is_no_picture_is_refused_by_name(self, tmp_path: Path, wrong: str) -> None:
        with pytest.raises(BadRequest) as caught:
            txt2img.with_first_pass(understood(enable_hr=True), wrong, Inputs(tmp_path))
        assert caught.value.field == "firstpass_image"


CASES = Path(__file__).parents[4] / "shared" / "reference" / "golden" / "cases.jsonl"


@pytest.mark.reference
@pytest.mark.skipif(not CASES.exists(), reason="A1111's requests are not here")
def test_every_request_that_a1111_answered_is_understood_or_its_missing_feature_named() -> None:
    lines = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    cases = [case for case in lines if case["endpoint"] == "/sdapi/v1/txt2img" and case["status"] == 200]
    refused = {}
    for case in cases:
        try:
            asked = understood(**case["request"])
            OPTIONS.overlay(asked.override_settings)
        except BadRequest as error:
            refused[f"{case['group']}/{case['name']}"] = error.field
    assert len(cases) > 200
    assert set(refused.values()) == set()
    assert len(refused) < len(cases) / 4
