"""Laws of A1111's hooks: each is called in A1111's order, and what it changes changes the picture as it does there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.generate.request import Img2Img, Txt2Img
from tests.compat.conftest import Program

SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 5, "cfg_scale": 7.0}


def asked(word: str = "", change: str = "nothing", **more: Any) -> Txt2Img:
    return Txt2Img(**SMALL, extension_args={"every hook": [True, word, change]}, **more)


def pixels(result: dict[str, Any], index: int = 0) -> np.ndarray:
    return np.asarray(Image.open(result["pictures"][index]["path"]).convert("RGB")).astype(int)


@pytest.fixture
def plain(program: Program) -> np.ndarray:
    program.guest.CHANGES["change"] = ""
    return pixels(program.make(Txt2Img(**SMALL)))


def test_every_hook_in_order(program: Program) -> None:
    program.make(Txt2Img(**SMALL, do_not_save_grid=True))
    assert [name for name in program.heard() if not name.startswith("cfg_")] == [
        *("setup", "before_process", "process", "before_process_batch", "after_extra_networks_activate"),
        *("process_batch", *(["model_loaded"] if "model_loaded" in program.heard() else [])),
        *("process_before_every_sampling", "post_sample", "postprocess_batch", "postprocess_batch_list"),
        *("postprocess_image", "postprocess_image_after_composite", "before_image_saved", "image_saved"),
        "postprocess",
    ]
    calls = [name for name in program.heard() if name.startswith("cfg_")]
    assert calls == ["cfg_denoiser", "cfg_denoiser_step", "cfg_denoised", "cfg_after_cfg"] * 3


def test_rows_are_those_of_prompts_then_those_of_negative_prompts(program: Program) -> None:
    program.make(Txt2Img(**{**SMALL, "prompt": "a AND b"}, batch_size=2, do_not_save_grid=True))
    assert program.heard("cfg_denoiser")[0] == ((6, 4, 8, 8), (4, 77, 64), (2, 77, 64))
    assert program.heard("cfg_denoiser_step") == [(step, 3, (6,)) for step in range(3)]
    assert program.heard("cfg_denoised")[0] == ((6, 4, 8, 8),)
    assert program.heard("cfg_after_cfg")[0] == ((2, 4, 8, 8),)


def test_a_step_of_a_second_order_sampler_counts_once(program: Program) -> None:
    program.make(Txt2Img(**SMALL, sampler_name="Heun"))
    assert [step for step, _, _ in program.heard("cfg_denoiser_step")] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("change", ["cond", "rows", "denoised", "guided"])
def test_what_a_cfg_callback_changes_reaches_the_picture(program: Program, plain: np.ndarray, change: str) -> None:
    program.guest.CHANGES["change"] = change
    try:
        changed = pixels(program.make(Txt2Img(**SMALL)))
    finally:
        program.guest.CHANGES["change"] = ""
    assert np.abs(changed - plain).max() > 0
    assert np.abs(pixels(program.make(Txt2Img(**SMALL))) - plain).max() == 0, "it does not reach the next job"


def test_nothing_changed_is_the_same_picture(program: Program, plain: np.ndarray) -> None:
    assert np.abs(pixels(program.make(asked())) - plain).max() == 0


def test_noise_changed_in_place_changes_the_picture(program: Program, plain: np.ndarray) -> None:
    assert np.abs(pixels(program.make(asked(change="noise"))) - plain).max() > 0


def test_a_picture_may_be_replaced(program: Program, plain: np.ndarray) -> None:
    assert np.abs(pixels(program.make(asked(change="picture"))) - plain[:, ::-1]).max() == 0


def test_fields_of_p_reach_the_request(program: Program) -> None:
    text = program.make(asked("steps"))["info"]["infotexts"][0]
    assert "Steps: 2," in text
    result = program.make(asked("width"))
    assert "Size: 128x64" in result["info"]["infotexts"][0]
    assert Image.open(result["pictures"][0]["path"]).size == (128, 64)


def test_prompts_of_process_are_sampled_and_told(program: Program) -> None:
    dog = pixels(program.make(Txt2Img(**{**SMALL, "prompt": "a dog"})))
    result = program.make(asked("prompt"))
    assert result["info"]["infotexts"][0].startswith("a dog\n")
    assert np.abs(pixels(result) - dog).max() == 0


def test_parameters_are_told_in_infotexts_also_by_functions(program: Program) -> None:
    texts = program.make(asked("a word", batch_size=2, do_not_save_grid=True))["info"]["infotexts"]
    assert "Every word: a word, Every place: 0" in texts[0]
    assert "Every word: a word, Every place: 1" in texts[1]


def test_pictures_may_be_added_at_the_end(program: Program) -> None:
    result = program.make(asked("more"))
    assert [picture["infotext"] for picture in result["pictures"]][1] == "an added one"
    assert np.abs(pixels(result, 1) - pixels(result)[:, ::-1]).max() == 0
    assert result["info"]["infotexts"][1] == "an added one"


def test_the_second_pass_is_told(program: Program) -> None:
    program.make(Txt2Img(**SMALL, enable_hr=True, hr_upscaler="Latent", denoising_strength=0.7))
    assert program.heard("before_hr") == [(True,)]
    shapes = [shape for shape, _, _ in program.heard("process_before_every_sampling")]
    assert shapes == [(1, 4, 8, 8), (1, 4, 16, 16)]


def test_inpainting_hooks(program: Program) -> None:
    inputs = program.app.inputs
    picture = inputs.add_image(Image.new("RGB", (64, 64), "gray"))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    request = Img2Img(**SMALL, init_images=(picture,), mask=inputs.add_image(mask), inpaint_full_res=False)
    program.make(request)
    assert {final for (final,) in program.heard("on_mask_blend")} == {True, False}
    assert program.heard("postprocess_maskoverlay") == [(0,)]


def test_extra_noise_is_told(program: Program) -> None:
    picture = program.app.inputs.add_image(Image.new("RGB", (64, 64), "gray"))
    program.make(Img2Img(**SMALL, init_images=(picture,), override_settings={"img2img_extra_noise": 0.1}))
    assert program.heard("extra_noise") == [((1, 4, 8, 8),)]


def test_saved_pictures_are_told_with_their_files(program: Program) -> None:
    result = program.make(Txt2Img(**SMALL))
    assert program.heard("image_saved") == [(result["pictures"][0]["path"], True)]
    assert Path(result["pictures"][0]["path"]).exists()


def test_grids_are_told_before_they_are_made(program: Program) -> None:
    program.make(Txt2Img(**SMALL, n_iter=2))
    assert program.heard("image_grid") == [(2, 2, 1)]
    program.make(Txt2Img(**SMALL, n_iter=2, do_not_save_grid=True))
    assert program.heard("image_grid") == []


def test_a_chosen_script_makes_cells(program: Program) -> None:
    result = program.make(Txt2Img(**SMALL), script="Twice", arguments=[3])
    seeds = [line.split("Seed: ")[1].split(",")[0] for line in result["info"]["infotexts"]]
    assert seeds == ["5", "6", "7"]
    assert len(result["pictures"]) == 3


def test_process_images_works_outside_of_a_job(program: Program, plain: np.ndarray) -> None:
    from modules import processing  # type: ignore[attr-defined]

    p = processing.StableDiffusionProcessingTxt2Img(**SMALL, do_not_save_samples=True)
    made = processing.process_images(p)
    assert np.abs(np.asarray(made.images[0].convert("RGB")).astype(int) - plain).max() == 0
    assert made.seed == 5
    assert made.infotext(p, 0).startswith("a cat\nSteps: 3")
    assert p.all_prompts == ["a cat"]


def test_settings_written_in_a_job_hold_for_it_alone(program: Program) -> None:
    from modules import script_callbacks, shared  # type: ignore[attr-defined]

    before = program.app.options.snapshot()["CLIP_stop_at_last_layers"]

    def write(params: Any) -> None:
        shared.opts.CLIP_stop_at_last_layers = 3
        params.text_cond = params.text_cond * (1 if shared.opts.CLIP_stop_at_last_layers == 3 else float("nan"))

    script_callbacks.on_cfg_denoiser(write)
    try:
        program.make(Txt2Img(**SMALL))
    finally:
        script_callbacks.remove_callbacks_for_function(write)
    assert shared.opts.CLIP_stop_at_last_layers == before


def test_the_lock_lets_one_work_at_a_time(program: Program) -> None:
    from modules.call_queue import queue_lock  # type: ignore[import-not-found]

    with queue_lock:
        id = program.app.submit(Txt2Img(**SMALL))
        assert program.app.queue.get(id).state == "pending"
        assert program.app.queue.current() is not None
    assert program.app.queue.wait(id, timeout=300).state == "done"
