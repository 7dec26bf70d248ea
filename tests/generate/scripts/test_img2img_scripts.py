"""Loops feed each picture to the next, tiles cover the whole, outpainting keeps what was there."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.request import Img2Img
from modules.generate.scripts import loopback, outpainting_mk2, poor_mans_outpainting, sd_upscale
from modules.generate.scripts.borders import Borders
from modules.generate.scripts.context import Result
from modules.generate.scripts.registry import Script
from tests.generate.scripts.fakes import SMALL, Killed, World


def picture(width: int = 96, height: int = 80) -> Image.Image:
    """Red to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 2, y * 2, np.full_like(x, 77)], axis=-1).astype(np.uint8))


def request_on(world: World, image: Image.Image | None = None, **fields: Any) -> Img2Img:
    name = world.inputs.add_image(image or picture())
    usual = {"prompt": "a cat", "seed": 5, "subseed": 6, "steps": 2, "width": 64, "height": 64}
    return Img2Img(**{**usual, "init_images": (name,), "denoising_strength": 0.75, **fields})


def run(world: World, script: Script, request: Img2Img, *arguments: Any, job: str = "job", **options: Any) -> Result:
    given = script.read("img2img", world.menus, list(arguments))
    if script.check is not None:
        script.check("img2img", world.menus, {}, {**given, "request": request.to_json()})
    return script.run(world.context(tab="img2img", job=job, **options), request, given)


# --- loopback


@settings(deadline=None)
@given(st.integers(2, 32), st.floats(0, 1), st.floats(0, 1), st.sampled_from(sorted(loopback.CURVES)))
def test_strengths_go_from_the_first_to_the_last_and_never_back(
    loops: int, first: float, final: float, curve: str
) -> None:
    strengths = [loopback.strength(n, loops=loops, first=first, final=final, curve=curve) for n in range(loops)]
    assert (strengths[0], strengths[-1]) == pytest.approx((first, final))
    assert strengths == sorted(strengths, reverse=final < first) or max(strengths) - min(strengths) < 1e-9


def test_a_loop_begins_with_the_picture_before(world: World) -> None:
    result = run(world, loopback.script(), request_on(world), 3, 0.25, "Linear")
    asked = [each for each in world.painter.asked if isinstance(each, Img2Img)]
    assert [each.seed for each in asked] == [5, 6, 7]
    assert [each.denoising_strength for each in asked] == [0.75, 0.5, 0.25]
    assert [each.inpainting_fill for each in asked] == [0, 1, 1]
    for before, after in zip(result.pictures[1:], asked[1:], strict=False):
        given = world.inputs.open(after.init_images[0], field="")
        assert given.tobytes() == Image.open(before["path"]).tobytes()
    assert Image.open(result.pictures[0]["path"]).size == (192, 64)
    assert result.info["seed"] == 5
    assert result.info["infotexts"] == [result.pictures[1]["infotext"]] * 4


def test_of_several_batches_the_last_picture_of_each_is_shown(world: World) -> None:
    result = run(world, loopback.script(), request_on(world, n_iter=2), 3)
    assert len(result.pictures) == 1 + 2
    asked = [each for each in world.painter.asked if isinstance(each, Img2Img)]
    assert [each.init_images == asked[0].init_images for each in asked] == [True, False, False] * 2


def test_a_loop_that_was_killed_goes_on(world: World) -> None:
    request = request_on(world)
    whole = run(world, loopback.script(), request, 4, job="whole")
    world.painter.asked.clear()
    world.painter.kill_at = 2
    with pytest.raises(Killed):
        run(world, loopback.script(), request, 4)
    world.painter.kill_at = None
    assert run(world, loopback.script(), request, 4).info == whole.info
    assert len(world.painter.asked) == 4


def test_colours_can_be_kept_through_all_loops(world: World) -> None:
    run(world, loopback.script(), request_on(world), 2, img2img_color_correction=True)
    change = world.painter.changes[0]
    assert change.settings == {"img2img_color_correction": False}
    assert change.finish is not None
    flat = change.finish(Image.new("RGB", (8, 8), (10, 200, 30)))
    assert flat.getpixel((0, 0)) != (10, 200, 30)


@pytest.mark.parametrize(
    ("arguments", "part"), [((0,), "Loops"), ((2, 1.5), "strength"), ((2, 0.5, "Linear", "CLIP"), "describes")]
)
def test_loopback_refuses(world: World, arguments: tuple[Any, ...], part: str) -> None:
    with pytest.raises(BadRequest, match=part):
        run(world, loopback.script(), request_on(world), *arguments)


@pytest.mark.parametrize(("prompt", "begins"), [("a cat", "a cat, "), ("", "")])
def test_each_loop_is_told_what_its_picture_shows(world: World, prompt: str, begins: str) -> None:
    world.menus = dataclasses.replace(
        world.menus,
        check_describer=lambda name: None,
        describe=lambda image, name, options: f"{name} {image.convert('RGB').getpixel((0, 0))}",
    )
    request = dataclasses.replace(request_on(world), prompt=prompt)
    result = run(world, loopback.script(), request, 3, 0.5, "Linear", "DeepBooru")
    shown = [Image.open(picture["path"]).convert("RGB").getpixel((0, 0)) for picture in result.pictures[1:]]
    asked = [each.prompt for each in world.painter.asked]
    assert asked[1:] == [f"{begins}deepdanbooru {colour}" for colour in shown[:2]]
    assert asked[0].startswith(f"{begins}deepdanbooru")
    assert result.info["prompt"] == asked[-1]


# --- SD upscale


def test_tiles_cover_the_enlarged_picture(world: World) -> None:
    request = request_on(world, batch_size=2)
    result = run(world, sd_upscale.script(), request, None, 16, "Lanczos", 2.0)
    asked = [each for each in world.painter.asked if isinstance(each, Img2Img)]
    assert [len(each.init_images) for each in asked] == [2] * 6
    assert [each.seed for each in asked] == [5, 6, 7, 8, 9, 10]
    assert Image.open(result.pictures[0]["path"]).size == (192, 160)
    assert world.painter.changes[0].facts == {"SD upscale overlap": 16, "SD upscale upscaler": "Lanczos"}
    assert world.keeping.kept == [("sample", True, "")]


def test_without_an_upscaler_the_picture_stays_as_large_as_it_is(world: World) -> None:
    result = run(world, sd_upscale.script(), request_on(world), None, 0, "None", 2.0)
    assert Image.open(result.pictures[0]["path"]).size == (96, 80)


@pytest.mark.parametrize(("arguments", "part"), [((None, 64), "overlap"), ((None, 0, "None", 0), "scale factor")])
def test_sd_upscale_refuses(world: World, arguments: tuple[Any, ...], part: str) -> None:
    with pytest.raises(BadRequest, match=part):
        run(world, sd_upscale.script(), request_on(world), *arguments)


# --- outpainting


@settings(deadline=None)
@given(
    st.tuples(st.integers(8, 900), st.integers(8, 900)),
    st.integers(8, 256),
    st.sets(st.sampled_from(("left", "right", "up", "down")), min_size=1),
)
def test_borders_fill_up_to_steps_of_64_on_the_sides_that_are_wanted(
    size: tuple[int, int], pixels: int, sides: set[str]
) -> None:
    found = Borders.around(size, pixels=pixels, sides=sides)
    for side in ("left", "right", "up", "down"):
        assert bool(getattr(found, side)) == (side in sides)
    if sides & {"left", "right"}:
        assert (size[0] + found.left + found.right) % 64 == 0
        assert 0 <= found.left + found.right - pixels * len(sides & {"left", "right"}) < 64
    if sides & {"up", "down"}:
        assert (size[1] + found.up + found.down) % 64 == 0


SCRIPTS = {
    "mk2": (outpainting_mk2.script(), lambda sides: (None, 64, 2, sides)),
    "poor man's": (poor_mans_outpainting.script(), lambda sides: (16, 2, "fill", sides)),
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("sides", [["left"], ["up"], ["left", "right", "up", "down"]])
def test_masks_are_white_where_the_picture_is_new_and_black_inside(world: World, name: str, sides: list[str]) -> None:
    script, arguments = SCRIPTS[name]
    image = picture(128, 128)
    result = run(world, script, request_on(world, image, width=128, height=128), *arguments(sides))
    wide, high = Image.open(result.pictures[-1]["path"]).size
    assert (wide > 128) == bool({"left", "right"} & set(sides))
    assert (high > 128) == bool({"up", "down"} & set(sides))
    for each in world.painter.asked:
        assert isinstance(each, Img2Img)
        assert each.mask is not None
        mask = np.asarray(world.inputs.open(each.mask, field="").convert("L"))
        assert set(np.unique(mask)) == {0, 255}
        assert mask.shape == (each.height, each.width)
        assert not each.inpaint_full_res


def test_mk2_begins_with_the_picture_and_noise_beside_it(world: World) -> None:
    image = picture(128, 128)
    run(world, outpainting_mk2.script(), request_on(world, image, width=256, height=128), None, 64, 0, ["right"])
    asked = world.painter.asked[0]
    assert isinstance(asked, Img2Img)
    begun = np.asarray(world.inputs.open(asked.init_images[0], field=""))
    assert begun.shape == (128, 192, 3)
    assert (np.abs(begun[:, :127].astype(int) - np.asarray(image)[:, :127]) <= 1).all()
    assert begun[:, 128:].std() > 5, "noise, not one colour"


def test_outpainting_refuses_what_it_cannot_do(world: World) -> None:
    for arguments, part in (((None, 64, 2, []), "direction"), ((None, 0), "pixels"), ((None, 64, -1), "blur")):
        with pytest.raises(BadRequest, match=part):
            run(world, outpainting_mk2.script(), request_on(world), *arguments)


def test_without_a_picture_every_one_of_them_says_so(world: World) -> None:
    for script in (loopback.script(), sd_upscale.script(), outpainting_mk2.script(), poor_mans_outpainting.script()):
        with pytest.raises(BadRequest, match="picture"):
            script.run(world.context(), SMALL, script.read("img2img", world.menus, []))
        empty = dataclasses.replace(request_on(world), init_images=())
        with pytest.raises(BadRequest, match="picture"):
            script.run(world.context(), empty, script.read("img2img", world.menus, []))
