"""Laws of hires fix: a batch equals single pictures, nothing to do changes nothing, interrupted work is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modules.core.errors import BadRequest, NotFound
from modules.generate import hires
from modules.generate import moments as events
from modules.generate.hires_plan import Target
from modules.generate.request import Txt2Img
from modules.imaging.upscale import LATENT_MODES
from modules.loading.vae import of_image, to_image
from tests.studio import OTHERS, Bench, Silent

SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 5}
HIRES: dict[str, Any] = {**SMALL, "enable_hr": True, "denoising_strength": 0.6}


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def far(first: Image.Image, second: Image.Image) -> int:
    """The largest difference of any pixel, of 255."""
    return int(np.abs(pixels(first) - pixels(second)).max())


class TestLatents:
    @pytest.mark.parametrize("mode", LATENT_MODES)
    def test_every_mode_reaches_the_size_and_keeps_what_is_even(self, mode: str) -> None:
        even = torch.full((2, 4, 6, 8), 0.5)
        found = hires.stretched(even, Target(scaled=(88, 103)), mode)
        assert found.shape == (2, 4, 12, 11)
        assert torch.allclose(found, torch.full_like(found, 0.5), atol=1e-5)

    @pytest.mark.parametrize("cut", [(0, 0), (1, 0), (0, 2), (5, 3)])
    def test_edges_are_cut_from_both_sides(self, cut: tuple[int, int]) -> None:
        latents = torch.arange(12.0).expand(1, 1, 12, 12)
        found = hires.cut(latents, Target(scaled=(96, 96), cut=cut))
        assert found.shape == (1, 1, 12 - cut[1], 12 - cut[0])
        assert found[0, 0, 0].tolist() == list(range(cut[0] // 2, 12 - (cut[0] + 1) // 2))


class TestInfotext:
    def test_loras_of_both_passes_are_told_once(self) -> None:
        first = {"Lora hashes": "a: 1, b: 2", "TI hashes": "x: 9"}
        second = {"Lora hashes": "b: 2, c: 3", "TI hashes": "y: 8", "Eta": 0.5}
        assert hires.joined(first, second) == {"Lora hashes": "a: 1, b: 2, c: 3", "TI hashes": "x: 9", "Eta": 0.5}

    def test_prompts_of_its_own_and_their_networks_are_told(self, bench: Bench) -> None:
        own = {"hr_prompt": "a dog <lora:tiny-lora:1>", "hr_negative_prompt": "fog", "hr_second_pass_steps": 2}
        text = bench.make(Txt2Img(**HIRES, **own))["info"]["infotexts"][0]
        assert 'Hires prompt: "a dog <lora:tiny-lora:1>", Hires negative prompt: fog, Hires upscale: 2.0' in text
        assert 'Hires steps: 2, Lora hashes: "tiny-lora: ' in text

    def test_a_schedule_is_told_where_it_is_not_that_of_the_first_pass(self, bench: Bench) -> None:
        def told(**fields: Any) -> bool:
            text = bench.make(Txt2Img(**{**HIRES, "steps": 1, **fields}))["info"]["infotexts"][0]
            return "Hires schedule type: Karras" in text

        assert told(hr_scheduler="Karras")
        assert not told(scheduler="Karras")
        assert not told(scheduler="Karras", hr_scheduler="Use same scheduler")

    def test_the_model_of_the_second_pass_must_be_there(self, bench: Bench) -> None:
        with pytest.raises(NotFound) as raised:
            bench.make(Txt2Img(**HIRES, hr_checkpoint_name="no such"))
        assert raised.value.field == "hr_checkpoint_name"


@pytest.mark.parametrize("upscaler", ["Latent", "Lanczos"])
def test_a_batch_equals_single_pictures(bench: Bench, upscaler: str) -> None:
    asked = {**HIRES, "hr_upscaler": upscaler, "sampler_name": "Euler a", "do_not_save_grid": True}
    batch = bench.images(Txt2Img(**asked, batch_size=2, n_iter=2))
    singles = [bench.images(Txt2Img(**{**asked, "seed": 5 + index}))[0] for index in range(4)]
    assert [far(*pair) <= 1 for pair in zip(batch, singles, strict=True)] == [True] * 4


def test_the_size_asked_for_comes_out(bench: Bench) -> None:
    for upscaler in ("Latent", "Nearest"):
        asked = Txt2Img(**{**HIRES, "steps": 1}, hr_upscaler=upscaler, hr_resize_x=96, hr_resize_y=136)
        assert bench.images(asked)[0].size == (96, 136)
    odd = Txt2Img(**{**HIRES, "steps": 1, "width": 68}, hr_upscaler="Latent")  # the factor is that of what is asked for
    assert bench.images(odd)[0].size == (136, 128)


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M SDE", "DDIM", "UniPC"])
def test_a_strength_of_nothing_gives_the_first_pass_enlarged(bench: Bench, sampler: str) -> None:
    asked = {**HIRES, "sampler_name": sampler, "denoising_strength": 0.0, "hr_upscaler": "Nearest", "hr_scale": 1.0}
    control = Silent()
    enlarged = bench.images(Txt2Img(**asked), control)[0]
    first = bench.images(Txt2Img(**{**SMALL, "sampler_name": sampler}))[0]
    again = bench.studio.shelf.get(bench.library.find("tiny-sd1")).vae
    through = to_image(again.decode(again.encode(of_image(first))).detach())
    assert far(enlarged, through) <= 1


def test_progress_counts_both_passes(bench: Bench) -> None:
    control = Silent()
    bench.make(Txt2Img(**HIRES, hr_second_pass_steps=2), control)
    assert control.total == 5
    assert control.steps == [1, 2, 3, 4, 5]


class TestStopping:
    def test_the_first_pass_is_kept(self, bench: Bench) -> None:
        control = Silent(interrupt_at=2)
        result = bench.make(Txt2Img(**HIRES), control)
        assert control.steps == [1, 2]
        assert Image.open(result["pictures"][0]["path"]).size == (64, 64)
        assert result["pictures"][0]["saved"] is False

    def test_a_second_pass_under_way_is_kept(self, bench: Bench) -> None:
        control = Silent(interrupt_at=4)
        result = bench.make(Txt2Img(**HIRES), control)
        assert control.steps == [1, 2, 3, 4]
        assert Image.open(result["pictures"][0]["path"]).size == (128, 128)

    def test_a_skipped_batch_goes_on_with_the_next(self, bench: Bench) -> None:
        result = bench.make(Txt2Img(**HIRES, n_iter=2, do_not_save_grid=True), Silent(skip_at=2))
        assert [Image.open(each["path"]).size for each in result["pictures"]] == [(64, 64), (128, 128)]


class TestFirstPicture:
    def test_it_takes_the_place_of_the_first_pass(self, bench: Bench) -> None:
        first = bench.images(Txt2Img(**SMALL))[0]
        name, control = bench.studio.inputs.add_image(first), Silent()
        given = bench.images(Txt2Img(**HIRES, hr_upscaler="Lanczos", firstpass_image=name), control)[0]
        made = bench.images(Txt2Img(**HIRES, hr_upscaler="Lanczos"))[0]
        assert far(given, made) <= 1
        assert (control.total, control.steps) == (3, [1, 2, 3])

    def test_one_of_another_shape_and_mode_works_with_latents_too(self, bench: Bench) -> None:
        name = bench.studio.inputs.add_image(Image.new("RGBA", (72, 88), (200, 30, 30, 255)))
        asked = {**HIRES, "width": 72, "height": 88, "firstpass_image": name, "batch_size": 2, "do_not_save_grid": True}
        assert [image.size for image in bench.images(Txt2Img(**asked))] == [(144, 176)] * 2

    def test_a_lost_one_is_named(self, bench: Bench) -> None:
        with pytest.raises(NotFound) as raised:
            bench.make(Txt2Img(**HIRES, firstpass_image="0" * 64))
        assert raised.value.field == "firstpass_image"


class TestOptions:
    def test_the_first_picture_is_saved_beside_the_other(self, bench: Bench) -> None:
        result = bench.make(Txt2Img(**HIRES), save_images_before_highres_fix=True)
        (picture,) = result["pictures"]
        before = [path for path in Path(picture["path"]).parent.iterdir() if path.stem.endswith(hires.BEFORE)]
        assert [Image.open(path).size for path in before] == [(64, 64)]
        assert far(Image.open(before[0]), bench.images(Txt2Img(**SMALL))[0]) == 0
        assert "Hires upscale: 2.0" in Image.open(before[0]).info["parameters"]

    def test_prompts_read_with_the_first_pass_are_others_where_its_networks_change_words(self, bench: Bench) -> None:
        tagged = {**HIRES, "prompt": "a cat <lora:tiny-lora:1>"}
        asked, same = Txt2Img(**tagged, hr_prompt="a cat"), Txt2Img(**tagged)
        plain, first = (bench.images(asked, hires_fix_use_firstpass_conds=on)[0] for on in (False, True))
        assert far(plain, first) > 1
        both = [bench.images(same, hires_fix_use_firstpass_conds=on)[0] for on in (False, True)]
        assert far(*both) == 0

    def test_old_timelines_are_told_where_they_matter(self, bench: Bench) -> None:
        def told(**fields: Any) -> bool:
            result = bench.make(Txt2Img(**{**HIRES, **fields}), use_old_scheduling=True)
            return "Old prompt editing timelines: True" in result["info"]["infotexts"][0]

        assert told(prompt="a [cat:dog:0.5]", hr_second_pass_steps=3)
        assert told(hr_second_pass_steps=2)  # even of plain prompts A1111 says so, since the passes differ in length
        assert not told(hr_second_pass_steps=3)

    def test_extra_noise_is_for_the_second_pass(self, bench: Bench) -> None:
        result = bench.make(Txt2Img(**HIRES), img2img_extra_noise=0.3)
        assert "Hires upscale: 2.0, Extra noise: 0.3" in result["info"]["infotexts"][0]
        assert far(Image.open(result["pictures"][0]["path"]), bench.images(Txt2Img(**HIRES))[0]) > 5


def test_prompts_that_a_listener_changes_reach_the_second_pass(bench: Bench) -> None:
    def dogs(event: events.BatchStarting) -> None:
        event.prompts[:] = ["a dog"] * len(event.prompts)

    remove = bench.moments.batch_starting.add(dogs, owner="test")
    try:
        changed = bench.make(Txt2Img(**HIRES))
    finally:
        remove()
    expected = bench.images(Txt2Img(**{**HIRES, "prompt": "a dog"}))[0]
    assert far(Image.open(changed["pictures"][0]["path"]), expected) == 0
    assert "Hires prompt" not in changed["info"]["infotexts"][0]


def test_a_listener_may_change_what_the_second_pass_begins_with(bench: Bench) -> None:
    seen = []

    def dark(event: events.Enlarged) -> None:
        seen.append((event.index, tuple(event.latents.shape), event.plan.width))
        event.latents = torch.zeros_like(event.latents)

    remove = bench.moments.enlarged.add(dark, owner="test")
    try:
        changed = bench.images(Txt2Img(**HIRES))[0]
        bench.make(Txt2Img(**SMALL))
    finally:
        remove()
    assert seen == [(0, (1, 4, 16, 16), 128)]
    assert far(changed, bench.images(Txt2Img(**HIRES))[0]) > 5


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"hr_scale": 0.0}, "hr_scale"),
        ({"denoising_strength": -1.0}, "denoising_strength"),
        ({"hr_resize_x": 20_000}, "hr_resize_x"),
    ],
)
def test_wrong_requests_name_the_field(bench: Bench, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as raised:
        bench.make(Txt2Img(**{**HIRES, **fields}))
    assert raised.value.field == field


def test_the_second_pass_may_have_a_cfg_scale_of_its_own(bench: Bench) -> None:
    plain = bench.make(Txt2Img(**HIRES, cfg_scale=7.0))
    same = bench.make(Txt2Img(**HIRES, cfg_scale=7.0, hr_cfg=7.0))
    other = bench.make(Txt2Img(**HIRES, cfg_scale=7.0, hr_cfg=2.0))
    plain_, same_, other_ = (Image.open(each["pictures"][0]["path"]) for each in (plain, same, other))
    assert far(plain_, same_) == 0
    assert far(plain_, other_) > 2
    assert "Hires CFG Scale" not in same["info"]["infotexts"][0]
    assert "Hires CFG Scale: 2.0" in other["info"]["infotexts"][0]
    with pytest.raises(BadRequest, match="hr_cfg"):
        bench.make(Txt2Img(**HIRES, hr_cfg=float("nan")))


@pytest.mark.skipif(not OTHERS, reason="the checkpoints of the other families are absent")
def test_what_the_vae_of_the_second_model_had_to_do_is_told(bench: Bench) -> None:
    """Here in half precision, where it overflows: it is moved to 32 bits, and the user hears of it."""
    second = bench.studio.shelf.get(bench.library.find("tiny-sd2-v"), keep=1).vae
    network, asked = second.network, Txt2Img(**HIRES, hr_checkpoint_name="tiny-sd2-v", hr_upscaler="Lanczos")
    last = network.decoder.conv_out  # type: ignore[union-attr]
    overflowing = last.register_forward_hook(  # type: ignore[union-attr]
        lambda layer, given, answer: answer * torch.inf if answer.dtype == torch.bfloat16 else answer
    )
    network.to(torch.bfloat16)
    try:
        comments = bench.make(asked)["comments"]
        assert [each for each in comments if "VAE overflowed in bfloat16 and runs in float32" in each]
        assert not [each for each in bench.make(asked)["comments"] if "overflowed" in each]
    finally:
        overflowing.remove()
        bench.studio.shelf.clear()
