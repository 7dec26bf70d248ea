"""Image to image through the whole engine, with the tiny model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.core.errors import BadRequest, NotFound
from modules.generate.moments import Composited, ExtraNoise, Overlaying
from modules.generate.request import Img2Img, Txt2Img
from modules.loading.vae import of_image, to_image
from modules.samplers.catalog import Sampler, builtin
from tests.reference.cases import psnr
from tests.studio import Bench, Silent

SINGLE = {"return_grid": False}


def photo(seed: int = 0, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """Soft colours, such as the tiny VAE can show."""
    small = np.random.default_rng(seed).integers(60, 200, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small, "RGB").resize(size, Image.Resampling.BICUBIC)


def mask(size: tuple[int, int] = (64, 64)) -> Image.Image:
    spot = Image.new("L", size)
    spot.paste(255, (size[0] // 2, 0, size[0], size[1]))
    return spot


def request(bench: Bench, *pictures: Image.Image, masked: Image.Image | None = None, **fields: object) -> Img2Img:
    inputs = bench.studio.inputs
    base = Img2Img(
        prompt="a house",
        seed=5,
        steps=3,
        width=64,
        height=64,
        cfg_scale=4.0,
        init_images=tuple(inputs.add_image(picture) for picture in pictures or (photo(),)),
        mask=inputs.add_image(masked) if masked else None,
        override_settings=SINGLE,
        inpaint_full_res=False,
    )
    return dataclasses.replace(base, **fields)


@pytest.mark.parametrize("row", builtin().samplers(), ids=lambda row: row.name)
def test_every_sampler_goes_on_from_a_picture_and_a_batch_is_its_pictures(row: Sampler, bench: Bench) -> None:
    """But for DPM adaptive, which has one error estimate for the whole batch."""
    asked = request(bench, photo(1), photo(2), masked=mask(), sampler_name=row.name, batch_size=2)
    both = bench.images(asked)
    assert len(both) == 2
    if row.name != "DPM adaptive":
        second = dataclasses.replace(asked, init_images=asked.init_images[1:], batch_size=1, seed=6)
        assert psnr(both[1], bench.images(second)[0]) > 50


@pytest.mark.parametrize("name", ["Euler", "DPM++ 2M SDE", "DPM fast", "DPM adaptive", "DDIM", "PLMS", "UniPC", "LCM"])
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_any_strength_and_a_single_step_are_enough_for_an_answer(name: str, strength: float, bench: Bench) -> None:
    for fixed in (False, True):
        asked = request(bench, sampler_name=name, denoising_strength=strength, steps=1)
        assert np.asarray(bench.images(asked, img2img_fix_steps=fixed)[0]).std() > 1


def test_less_strength_stays_nearer_to_the_picture(bench: Bench) -> None:
    near, far = (psnr(bench.images(request(bench, steps=8, denoising_strength=s))[0], photo()) for s in (0.1, 0.9))
    assert near > far + 3


def test_outside_the_mask_every_pixel_is_the_old_ones(bench: Bench) -> None:
    for sampler in ("Euler", "DDIM"):
        made = bench.images(request(bench, masked=mask(), sampler_name=sampler, mask_blur_x=0, mask_blur_y=0))[0]
        assert made.crop((0, 0, 32, 64)).tobytes() == photo().crop((0, 0, 32, 64)).tobytes()
        assert made.crop((32, 0, 64, 64)).tobytes() != photo().crop((32, 0, 64, 64)).tobytes()


def test_only_masked_gives_back_a_picture_of_the_old_size(bench: Bench) -> None:
    asked = request(bench, photo(size=(150, 90)), masked=mask((150, 90)), inpaint_full_res=True)
    assert bench.images(asked)[0].size == (150, 90)


@pytest.mark.parametrize("mode", range(4))
def test_every_resize_mode_gives_the_size_asked_for(mode: int, bench: Bench) -> None:
    asked = request(bench, photo(size=(100, 36)), masked=mask((40, 40)), resize_mode=mode, inpainting_fill=2)
    assert bench.images(asked)[0].size == (64, 64)


def test_sides_that_are_no_whole_latents_are_cut_by_the_encoder(bench: Bench) -> None:
    """As in A1111: the picture comes to the size asked for, and what the text says is that size."""
    asked = request(bench, photo(size=(300, 180)), width=100, height=60, denoising_strength=0.0)
    result = bench.make(asked, img2img_fix_steps=True)  # no step at all
    vae = bench.studio.shelf.get(bench.library.find("tiny-sd1")).vae
    with torch.inference_mode():
        sized = photo(size=(300, 180)).resize((100, 60), Image.Resampling.LANCZOS)
        expected = to_image(vae.decode(vae.encode(of_image(sized))))
    made = Image.open(result["pictures"][0]["path"])
    assert (made.size, expected.size) == ((96, 56), (96, 56))
    assert psnr(made, expected) > 60
    assert "Size: 100x60" in result["info"]["infotexts"][0]
    masked = bench.images(request(bench, photo(size=(100, 60)), masked=mask((100, 60)), width=100, height=60))[0]
    assert masked.size == (96, 56)


def test_masks_are_shown_and_saved_where_options_want_them(bench: Bench) -> None:
    asked = request(bench, masked=mask())
    result = bench.make(asked, return_mask=True, return_mask_composite=True, save_mask=True)
    assert [each["kind"] for each in result["pictures"]] == ["sample", "mask", "mask"]
    assert [each["saved"] for each in result["pictures"]] == [True, True, False]
    assert Path(result["pictures"][1]["path"]).stem.endswith("-mask")
    assert Image.open(result["pictures"][2]["path"]).mode == "RGBA"
    assert len(result["info"]["infotexts"]) == 1
    assert "img2img-images" in result["pictures"][0]["path"]


def test_colours_are_brought_back_and_the_picture_before_is_kept(bench: Bench) -> None:
    asked = request(bench, denoising_strength=0.9)
    plain, matched = bench.images(asked)[0], bench.images(asked, img2img_color_correction=True)[0]
    means = [np.asarray(picture).mean((0, 1)) for picture in (plain, matched, photo())]
    assert np.ptp(means[1] - means[2]) < np.ptp(means[0] - means[2])
    result = bench.make(asked, img2img_color_correction=True, save_images_before_color_correction=True)
    beside = Path(result["pictures"][0]["path"]).parent.glob("*-before-color-correction.png")
    assert psnr(Image.open(next(beside)), plain) > 60


def test_given_pictures_are_saved_under_their_hash(bench: Bench) -> None:
    result = bench.make(request(bench, photo(9)), save_init_img=True)
    saved = list((bench.folder / "data" / "outputs" / "init-images").glob("*.png"))
    assert [Image.open(path).tobytes() for path in saved] == [photo(9).tobytes()]
    assert f"Init image hash: {saved[0].stem}, RNG: " in result["info"]["infotexts"][0] or (
        f"Init image hash: {saved[0].stem}, " in result["info"]["infotexts"][0]
    )


def test_a_black_mask_is_a_remark_and_not_an_error(bench: Bench) -> None:
    result = bench.make(request(bench, masked=Image.new("L", (64, 64)), inpaint_full_res=True))
    assert any("Nothing of the mask is white" in comment for comment in result["comments"])


def test_noise_options_are_told_and_change_the_picture(bench: Bench) -> None:
    plain = bench.make(request(bench))
    for options, told in (
        ({"initial_noise_multiplier": 0.8}, "Noise multiplier: 0.8"),
        ({"img2img_extra_noise": 0.2}, "Extra noise: 0.2"),
    ):
        other = bench.make(request(bench), **options)
        assert told in other["info"]["infotexts"][0]
        assert psnr(*(Image.open(each["pictures"][0]["path"]) for each in (plain, other))) < 50


def test_interrupted_work_is_kept(bench: Bench) -> None:
    made = bench.images(request(bench, steps=8, masked=mask()), Silent(interrupt_at=2))
    assert made[0].size == (64, 64)


def test_a_picture_that_is_gone_is_named(bench: Bench) -> None:
    with pytest.raises(NotFound, match="Send it again") as caught:
        bench.make(dataclasses.replace(request(bench), init_images=("0" * 64,)))
    assert caught.value.field == "init_images"
    with pytest.raises(BadRequest, match="needs a picture"):
        bench.make(Img2Img())


def test_moments_of_pictures(bench: Bench) -> None:
    seen: list[object] = []

    def blue(event: Composited) -> None:
        event.image = Image.new("RGB", event.image.size, "blue")

    def away(event: Overlaying) -> None:
        seen.append(event.overlay)
        event.overlay = None

    def quiet(event: ExtraNoise) -> None:
        seen.append(event.noised)
        event.noise = event.noise * 0

    moments = bench.moments
    removers = [
        moments.overlaying.add(away, owner="test"),
        moments.extra_noise.add(quiet, owner="test"),
    ]
    try:
        masked = bench.images(request(bench, masked=mask(), mask_blur_x=0, mask_blur_y=0), img2img_extra_noise=0.5)[0]
        assert len(seen) == 2
        assert masked.crop((0, 0, 32, 64)).tobytes() != photo().crop((0, 0, 32, 64)).tobytes()
        removers.append(moments.composited.add(blue, owner="test"))
        assert bench.images(request(bench))[0].getcolors() == [(64 * 64, (0, 0, 255))]
    finally:
        for remove in removers:
            remove()


def test_tiling_makes_edges_meet_and_leaves_nothing_behind(bench: Bench) -> None:
    asked = Txt2Img(prompt="a wall", seed=3, steps=3, width=64, height=64, override_settings=SINGLE)
    before, tiled, after = (bench.images(dataclasses.replace(asked, tiling=on))[0] for on in (False, True, None))
    assert before.tobytes() == after.tobytes() != tiled.tobytes()
    assert "Tiling: True" in bench.make(asked, tiling=True)["info"]["infotexts"][0]

    def seam(picture: Image.Image) -> float:
        levels = np.asarray(picture).astype(float)
        return float(np.abs(levels[:, 0] - levels[:, -1]).mean() / np.abs(np.diff(levels, axis=1)).mean())

    assert seam(tiled) < seam(before)
