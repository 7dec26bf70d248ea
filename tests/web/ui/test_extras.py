"""The Extras tab: every argument of every step has a widget, and what they say is what is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.postprocess import Piece, Step
from modules.plugins.api import flag, number
from modules.web.ui import extras
from tests.web.ui.fakes import World

MakeWorld = Callable[..., World]


def tab_of(world: World) -> extras.Tab:
    with gr.Blocks(analytics_enabled=False):
        return extras.build(world.services)


def data(tab: extras.Tab, **given: Any) -> dict[Any, Any]:
    """What Gradio hands over: every widget with its starting value, the mode of size by index, some replaced."""
    values = {widget: widget.value for widget in tab.inputs}
    values[tab.steps["Upscale/upscale_mode"]] = 0
    named = {"image": tab.image, "files": tab.files, "source": tab.source, "input_dir": tab.input_dir, **tab.steps}
    return values | {named[name.replace("__", "/")]: value for name, value in given.items()}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((24, 16)).convert("RGB").save(path)
    return str(path)


def test_every_argument_of_every_step_has_a_widget(make_world: MakeWorld) -> None:
    world = make_world()
    steps = world.services.steps.in_order(world.services.options.snapshot())
    expected = {f"{step.name}/{argument}" for step in steps for argument in step.defaults}
    assert set(tab_of(world).steps) == expected


def test_steps_of_extensions_have_their_widgets_and_are_done(make_world: MakeWorld, file: str) -> None:
    def darker(piece: Piece, asked: Any, tools: Any, /) -> None:
        piece.image = piece.image.point(lambda level: level * asked["share"])

    def own(piece: Piece, asked: Any, tools: Any, /) -> None:
        piece.info["Own"] = asked["word"]

    world = make_world()
    described = (flag("enable", "On"), number("share", "Share", 1.0, 0, 1, 0.25))
    world.services.steps.add(Step(name="Darker", order=1, run=darker, parameters=described))
    built = Step(
        name="Own step",
        order=2,
        run=own,
        wanted=lambda asked: True,
        build=lambda: {"word": gr.Textbox("hello", elem_id="own_word")},
        encode=str.upper,
    )
    world.services.steps.add(built)
    world.services.steps.add(Step(name="Broken", order=3, run=own, build=lambda: {"word": gr.no_such_widget()}))
    tab = tab_of(world)
    slider = tab.steps["Darker/share"]
    assert (slider.minimum, slider.maximum, slider.step, slider.label) == (0, 1, 0.25, "Share")
    assert "Broken/word" not in tab.steps

    async def pressed(**given: Any) -> str:
        updates = [each async for each in tab.generate(data(tab, image=file, **given))]
        return str(updates[-1][tab.screen.panel.gallery]["value"][0])

    changed = Image.open(asyncio.run(pressed(Darker__enable=True, Darker__share=0.5, **{"Own step/word": "x"})))
    assert np.abs(np.asarray(changed).astype(float) - np.asarray(Image.open(file)) * 0.5).max() <= 1
    assert "Own: X" in changed.info["postprocessing"]


def test_a_picture_is_enlarged_and_shown(make_world: MakeWorld, file: str) -> None:
    world = make_world()
    tab = tab_of(world)
    asked = data(tab, image=file, Upscale__upscaler_1_name="Lanczos", Upscale__upscale_by=2.0)

    async def pressed() -> list[dict[Any, Any]]:
        return [updates async for updates in tab.generate(asked)]

    shown = asyncio.run(pressed())[-1][tab.screen.panel.gallery]["value"]
    assert [Image.open(path).size for path in shown] == [(48, 32)]


@pytest.mark.parametrize("given", [{}, {"source": extras.BATCH}, {"source": extras.FOLDER}])
def test_without_a_picture_it_says_so(make_world: MakeWorld, given: dict[str, Any]) -> None:
    tab = tab_of(make_world())
    with pytest.raises(BadRequest, match=r"no picture|folder"):
        tab.submit(data(tab, **given))
