"""Laws of a job: a batch equals single pictures, no setting reaches the next job, interrupted work is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.core.errors import BadRequest, EaselError, NotFound
from modules.core.types import JsonObject
from modules.generate import moments as events
from modules.generate.request import Txt2Img
from modules.prompts import infotext
from tests.studio import Bench, Silent

SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 5}


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def far(first: Image.Image, second: Image.Image) -> int:
    """The largest difference of any pixel, of 255."""
    return int(np.abs(pixels(first) - pixels(second)).max())


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M"])
def test_a_batch_equals_single_pictures(bench: Bench, sampler: str) -> None:
    asked = {**SMALL, "sampler_name": sampler, "do_not_save_grid": True}
    batch = bench.images(Txt2Img(**asked, batch_size=2, n_iter=2))
    singles = [bench.images(Txt2Img(**{**asked, "seed": 5 + index}))[0] for index in range(4)]
    assert [far(*pair) <= 1 for pair in zip(batch, singles, strict=True)] == [True] * 4


@pytest.mark.parametrize(("scale", "prompts"), [(1.0, 1), (7.0, 2)])
def test_cfg_1_asks_the_model_once_a_step_for_the_prompt_alone(bench: Bench, scale: float, prompts: int) -> None:
    """What turbo, lightning and LCM checkpoints are run with; counted at the network itself."""
    asked = Txt2Img(**{**SMALL, "sampler_name": "LCM", "cfg_scale": scale}, negative_prompt="fog")
    network = bench.studio.shelf.get(bench.library.find("tiny-sd1")).unet
    sizes: list[int] = []
    watching = network.register_forward_pre_hook(
        lambda _, given, more: sizes.append(len(given[0] if given else more["sample"])), with_kwargs=True
    )
    try:
        bench.make(asked)
    finally:
        watching.remove()
    assert sizes == [prompts] * SMALL["steps"]


def test_the_same_request_gives_the_same_bytes(bench: Bench) -> None:
    first, second = (bench.images(Txt2Img(**SMALL))[0] for _ in range(2))
    assert far(first, second) == 0


def test_quantization_is_not_for_samplers_that_go_by_time(bench: Bench) -> None:
    """UniPC asks between trained times, and A1111 lets it."""
    asked = {**SMALL, "sampler_name": "UniPC"}
    plain, rounded = (bench.images(Txt2Img(**asked), enable_quantization=on)[0] for on in (False, True))
    assert far(plain, rounded) == 0


def test_overrides_do_not_reach_the_next_job(bench: Bench) -> None:
    before = bench.images(Txt2Img(**SMALL))[0]
    other = bench.images(Txt2Img(**SMALL, override_settings={"CLIP_stop_at_last_layers": 3, "randn_source": "CPU"}))[0]
    after = bench.images(Txt2Img(**SMALL))[0]
    assert far(before, other) > 5
    assert far(before, after) == 0


def test_sizes_are_cut_to_multiples_of_eight_and_told_as_asked(bench: Bench) -> None:
    result = bench.make(Txt2Img(**{**SMALL, "width": 71, "height": 66}))
    assert Image.open(result["pictures"][0]["path"]).size == (64, 64)
    assert "Size: 71x66" in result["info"]["infotexts"][0]


def test_who_asked_is_told_where_the_option_says_so(bench: Bench) -> None:
    asked = {**SMALL, "steps": 1}
    for user, on, told in (("ada, of B", True, "ada, of B"), ("ada, of B", False, None), ("", True, None)):
        text = bench.make(Txt2Img(**asked, user=user), add_user_name_to_info=on)["info"]["infotexts"][0]
        assert infotext.parse(text).get("User") == told
    assert bench.make(Txt2Img(**asked, user="ada"), add_user_name_to_info=True)["info"]["infotexts"][0].endswith(
        "Version: Easel test, User: ada"
    )


def test_random_seeds_are_real_and_told(bench: Bench) -> None:
    result = bench.make(Txt2Img(**{**SMALL, "seed": -1, "steps": 1}))
    seed = result["info"]["seed"]
    assert seed >= 0
    assert f"Seed: {seed}," in result["info"]["infotexts"][0]


def test_weights_beyond_all_measure_are_blamed_on_the_prompt(bench: Bench) -> None:
    with pytest.raises(BadRequest, match='"b" is too strong') as raised:
        bench.make(Txt2Img(**{**SMALL, "steps": 1, "prompt": f"a AND b :-{'9' * 32}"}))
    assert raised.value.field == "prompt"


def test_interrupted_work_is_decoded_and_ends_the_job(bench: Bench) -> None:
    control = Silent(interrupt_at=2)
    result = bench.make(Txt2Img(**{**SMALL, "steps": 5}, n_iter=3), control)
    assert control.steps == [1, 2]
    (picture,) = result["pictures"]
    assert picture["saved"] is False  # an unfinished picture is not among the user's unless save_incomplete_images
    assert Image.open(picture["path"]).size == (64, 64)


def test_incomplete_pictures_are_saved_if_wanted(bench: Bench) -> None:
    result = bench.make(Txt2Img(**SMALL), Silent(interrupt_at=1), save_incomplete_images=True)
    assert result["pictures"][0]["saved"] is True


def test_skipped_batches_go_on_with_the_next(bench: Bench) -> None:
    control = Silent(skip_at=1)
    result = bench.make(Txt2Img(**SMALL, n_iter=2, do_not_save_grid=True), control)
    assert control.steps == [1, 1, 2, 3]
    assert [picture["saved"] for picture in result["pictures"]] == [False, True]


def test_previews_only_while_somebody_watches(bench: Bench) -> None:
    unseen, seen, off = Silent(), Silent(watching=True), Silent(watching=True)
    bench.make(Txt2Img(**SMALL), unseen, show_progress_every_n_steps=1)
    bench.make(Txt2Img(**SMALL), seen, show_progress_every_n_steps=1)
    bench.make(Txt2Img(**SMALL), off, show_progress_every_n_steps=1, live_previews_enable=False)
    assert (len(unseen.previews), len(seen.previews), len(off.previews)) == (0, 3, 0)
    assert seen.previews[0].size == (8, 8)


def test_full_previews_have_the_pictures_size_and_become_the_picture(bench: Bench) -> None:
    control = Silent(watching=True)
    options = {"show_progress_every_n_steps": 1, "show_progress_type": "Full", "live_preview_content": "Combined"}
    (final,) = bench.images(Txt2Img(**SMALL), control, **options)
    assert far(control.previews[-1], final) <= 1


def test_a_batch_is_previewed_as_a_grid(bench: Bench) -> None:
    control = Silent(watching=True)
    bench.make(Txt2Img(**SMALL, batch_size=2), control, show_progress_every_n_steps=1)
    assert control.previews[0].size in ((16, 8), (8, 16))


def saved_files(bench: Bench, result: JsonObject) -> list[Path]:
    return [Path(picture["path"]) for picture in result["pictures"] if picture["saved"]]


def test_pictures_lie_where_a1111_puts_them(bench: Bench) -> None:
    result = bench.make(Txt2Img(**SMALL, batch_size=2))
    grid, *samples = saved_files(bench, result)
    assert grid.parent.parent == bench.folder / "data" / "outputs" / "txt2img-grids"
    assert grid.name.startswith("grid-")
    assert {path.parent.parent.name for path in samples} == {"txt2img-images"}
    assert [path.name.split("-")[1] for path in samples] == ["5.png", "6.png"]
    assert result["info"]["index_of_first_image"] == 1


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_formats(bench: Bench, ending: str) -> None:
    from modules.imaging import png

    result = bench.make(Txt2Img(**SMALL), samples_format=ending)
    (path,) = saved_files(bench, result)
    assert path.suffix == f".{ending}"
    assert png.read(path).infotext == result["info"]["infotexts"][0]


def test_what_must_not_be_saved_is_still_the_jobs_result(bench: Bench) -> None:
    result = bench.make(Txt2Img(**SMALL, do_not_save_samples=True))
    (picture,) = result["pictures"]
    assert picture["saved"] is False
    assert Path(picture["path"]).is_relative_to(bench.folder / "spool")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"width": 7}, "width"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -2}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"cfg_scale": float("nan")}, "cfg_scale"),
        ({"sampler_name": "nothing"}, "sampler_name"),
        ({"scheduler": "nothing"}, "scheduler"),
        ({"override_settings": {"jpeg_quality": "high"}}, "override_settings.jpeg_quality"),
    ],
)
def test_bad_requests_name_their_field(bench: Bench, wrong: dict[str, object], field: str) -> None:
    with pytest.raises((BadRequest, NotFound)) as caught:
        bench.make(Txt2Img(**{**SMALL, **wrong}))
    assert getattr(caught.value, "field") == field  # noqa: B009 (both errors have one, their base has not)


def test_networks_that_cannot_be_had_are_told(bench: Bench) -> None:
    asked = {"prompt": "a cat <lora:nosuch:1> <hypernet:nosuch:1>", "negative_prompt": "<lora:nosuch:1>", "steps": 1}
    result = bench.make(Txt2Img(**{**SMALL, **asked}))
    assert len(result["comments"]) == 3


def test_a_model_that_yields_nan_is_an_error_that_says_so(bench: Bench) -> None:
    def spoil(event: events.Sampled) -> None:
        event.latents = event.latents * float("nan")

    remove = bench.moments.sampled.add(spoil, owner="test")
    with pytest.raises(EaselError, match="not finite"):
        bench.make(Txt2Img(**SMALL))
    remove()


NOT_ALWAYS = ("extra_noise", "mask_blending", "enlarged", "overlaying", "arranging")
"""Moments of work that starts with a picture, or makes several."""


def test_every_moment_comes_once_in_its_place(bench: Bench) -> None:
    """planning .. finished, in the order of the declaration, and a listener's change arrives in the picture."""
    import dataclasses

    seen: list[str] = []
    removers = []
    for field in dataclasses.fields(bench.moments):
        listen = lambda event, name=field.name: seen.append(name)  # noqa: E731
        removers.append(getattr(bench.moments, field.name).add(listen, owner="test"))
    bench.make(Txt2Img(**{**SMALL, "steps": 1}))
    for remove in removers:
        remove()
    assert seen == [field.name for field in dataclasses.fields(bench.moments) if field.name not in NOT_ALWAYS]


def test_listeners_change_prompts_and_pictures(bench: Bench) -> None:
    def other_prompt(event: events.BatchStarting) -> None:
        event.prompts[:] = ["a dog"]

    def invert(event: events.PictureReady) -> None:
        event.image = Image.eval(event.image, lambda level: 255 - level)

    (dog,) = bench.images(Txt2Img(**{**SMALL, "prompt": "a dog"}))
    removers = [
        bench.moments.batch_starting.add(other_prompt, owner="test"),
        bench.moments.picture_ready.add(invert, owner="test"),
    ]
    result = bench.make(Txt2Img(**SMALL))
    for remove in removers:
        remove()
    assert far(Image.eval(dog, lambda level: 255 - level), Image.open(result["pictures"][0]["path"])) == 0
    assert result["info"]["infotexts"][0].startswith("a dog\n")
