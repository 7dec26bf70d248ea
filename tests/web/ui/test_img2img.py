"""The img2img form: each mode hands over its picture and its mask, and says what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.request import Img2Img
from modules.web.ui import generation, img2img, page
from tests.web.ui.fakes import World
from tests.web.ui.test_painting import PICTURE, painted, stroke

MakeWorld = Callable[..., World]


def tab_of(world: World) -> generation.Tab:
    with gr.Blocks(analytics_enabled=False):
        return img2img.build(world.services, world.services.catalog, page.media_of(world.services))[0]


def values(tab: generation.Tab, **given: Any) -> dict[str, Any]:
    """The form as it stands at first, some of it filled in; radios by index come as the page sends them."""
    plain = {name: widget.value for name, widget in tab.form.widgets.items()}
    radios = {"resize_mode": 0, "inpainting_mask_invert": 0, "inpainting_fill": 1, "inpaint_full_res": 0}
    return plain | radios | given


def asked(world: World, **given: Any) -> Img2Img:
    tab = tab_of(world)
    tab.submit(values(tab, **{"width": 64, "height": 64, **given}))
    request = world.requests[-1]
    assert isinstance(request, Img2Img)
    return request


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    PICTURE.save(path)
    return str(path)


def kept(world: World, name: str | None) -> Image.Image:
    assert name is not None
    return world.services.inputs.open(name, field="image")


def test_a_picture_is_asked_for_as_a1111_asks(make_world: MakeWorld, file: str) -> None:
    world = make_world()
    request = asked(world, image=file, prompt="a dog", denoising_strength=0.4, resize_mode=2)
    assert (request.prompt, request.denoising_strength, request.resize_mode) == ("a dog", 0.4, 2)
    assert (request.mask, request.width, request.height) == (None, 64, 64)
    assert kept(world, request.init_images[0]).size == PICTURE.size


def test_inpainting_sends_the_paint_as_mask(make_world: MakeWorld) -> None:
    world = make_world()
    given = {"mode": img2img.INPAINT, "inpaint": painted(stroke((2, 3, 9, 9))), "mask_blur": 7}
    request = asked(world, **given, inpainting_fill=2, inpaint_full_res=1, inpainting_mask_invert=1)
    assert (request.mask_blur_x, request.mask_blur_y, request.inpainting_fill) == (7, 7, 2)
    assert (request.inpaint_full_res, request.inpainting_mask_invert) == (True, 1)
    assert kept(world, request.mask).convert("L").getbbox() == (2, 3, 10, 10)


def test_sketches_send_what_was_drawn(make_world: MakeWorld) -> None:
    world = make_world()
    drawn = painted(stroke((0, 0, 20, 20)))
    request = asked(world, mode=img2img.SKETCH, sketch=drawn)
    assert kept(world, request.init_images[0]).convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    coloured = asked(world, mode=img2img.COLOURED, inpaint_sketch=drawn, mask_blur=0, mask_transparency=0)
    assert kept(world, coloured.init_images[0]).convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    assert kept(world, coloured.mask).convert("L").getbbox() == (0, 0, 21, 21)


def test_resize_by_is_of_the_picture(make_world: MakeWorld, file: str) -> None:
    request = asked(make_world(), image=file, resize_by=True, scale_by=2.0)
    assert (request.width, request.height) == (80, 60)


@pytest.mark.parametrize(
    ("mode", "given", "words"),
    [
        (img2img.PLAIN, {}, "no picture yet"),
        (img2img.INPAINT, {"inpaint": None}, "no picture yet"),
        (img2img.INPAINT, {"inpaint": painted()}, "Nothing is painted"),
        (img2img.COLOURED, {"inpaint_sketch": painted()}, "Nothing is painted"),
        (img2img.UPLOAD, {}, "no picture yet"),
    ],
)
def test_what_is_missing_is_said(make_world: MakeWorld, mode: int, given: dict[str, Any], words: str) -> None:
    world = make_world()
    with pytest.raises(BadRequest, match=words):
        asked(world, mode=mode, **given)
    tab = tab_of(world)
    data = {tab.form[name]: value for name, value in values(tab, mode=mode, **given).items()}

    async def pressed() -> list[dict[Any, Any]]:
        actions = generation.Actions(services=world.services, catalog=world.services.catalog, tab=tab)
        return [updates async for updates in actions.generate(data)]

    assert words in asyncio.run(pressed())[-1][tab.screen.panel.log]
