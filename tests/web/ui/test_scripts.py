"""Scripts on the page: a widget for every argument, values in the order of `script_args`, menus that follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from modules.web.ui import scripts
from tests.web.ui.fakes import World

MakeWorld = Callable[..., World]


def built(world: World, tab: Any = "txt2img") -> dict[str, Any]:
    with gr.Blocks(analytics_enabled=False):
        return scripts.build(tab, world.services)


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_what_the_page_sends_is_what_the_script_takes(make_world: MakeWorld, tab: Any) -> None:
    """The widgets' starting values, in order, are read by every script as its own defaults."""
    world = make_world()
    values = {name: widget.value for name, widget in built(world, tab).items()}
    for script in world.services.scripts.of(tab):
        title, arguments = scripts.read(values | {"script": script.title}, tab, world.services)
        assert title == script.title
        menus = world.services.menus
        sent, plain = (script.read(tab, menus, given) for given in (arguments, []))
        read = [name for name in plain if name != "note"]
        assert {name: sent[name] or None for name in read} == {name: plain[name] or None for name in read}


def test_no_script_is_none(make_world: MakeWorld) -> None:
    world = make_world()
    assert scripts.read({"script": "None"}, "txt2img", world.services) == (None, [])


def test_ids_are_those_of_a1111(make_world: MakeWorld) -> None:
    ids = {widget.elem_id for widget in built(make_world()).values()}
    assert {"txt2img_script_list", "script_txt2img_xyz_plot_x_type", "script_txt2img_xyz_plot_draw_legend"} <= ids


def test_a_menu_offers_what_the_type_of_its_axis_has(make_world: MakeWorld) -> None:
    world = make_world()
    plot = world.services.scripts.find("X/Y/Z plot", "txt2img")
    menu = next(each for each in plot.arguments("txt2img", world.services.menus) if each.name == "x_menu")
    assert menu.follows is not None
    leader, offered = menu.follows
    assert leader == "x_type"
    assert "Euler" in offered("Sampler")
    assert list(offered("Steps")) == []
    assert built(world)["script/X/Y/Z plot/x_menu"].visible == "hidden"
