"""ui-config.json: what fits becomes the widgets' start, what does not is left out, the file is never changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.ui.fakes import World
from tests.web.ui.test_page import Made, made

MakeWorld = Callable[..., World]


def page_with(world: World, wishes: object) -> Made:
    path = world.services.paths.ui_config
    path.write_text(wishes if isinstance(wishes, str) else json.dumps(wishes), encoding="utf-8")
    page = made(world)
    assert path.read_text(encoding="utf-8") == (wishes if isinstance(wishes, str) else json.dumps(wishes))
    return page


def test_values_and_ranges_of_a1111s_file(make_world: MakeWorld) -> None:
    form = page_with(
        make_world(),
        {
            "txt2img/Prompt/value": "masterpiece",
            "txt2img/Sampling method/value": "Euler a",
            "txt2img/Sampling steps/maximum": 300,
            "txt2img/Sampling steps/value": 200,
            "txt2img/Width/step": 64,
            "txt2img/Seed/value": 5,
            "img2img/Width/value": 640,
            "customscript/x.py/txt2img/Y/value": 1,
        },
    ).tab.form
    assert (form["prompt"].value, form["sampler"].value, form["seed"].value) == ("masterpiece", "Euler a", 5)
    assert (form["steps"].maximum, form["steps"].value, form["width"].step, form["width"].value) == (300, 200, 64, 512)
    assert form["steps"].get_config()["value"] == 200  # what the browser is told


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Sampling method/value", "No such sampler"),
        ("Sampling steps/value", 10_000),
        ("Sampling steps/value", True),
        ("Width/step", 0),
        ("Prompt/value", 7),
        ("Extra/value", "yes"),
        ("Prompt/maximum", 3),
    ],
)
def test_what_does_not_fit_is_left_out_and_said(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture, key: str, value: Any
) -> None:
    plain = {name: widget.get_config() for name, widget in made(make_world()).tab.form.widgets.items()}
    form = page_with(make_world(), {f"txt2img/{key}": value}).tab.form
    assert {name: widget.get_config() for name, widget in form.widgets.items()} == plain
    assert key in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_damaged_file_stops_nothing(make_world: MakeWorld, caplog: pytest.LogCaptureFixture, text: str) -> None:
    assert page_with(make_world(), text).tab.form["steps"].value == 20
    assert "left alone" in caplog.text
