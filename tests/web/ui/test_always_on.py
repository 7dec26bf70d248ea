"""Always-on scripts: parameters described once make widgets, requests, and what an infotext fills in."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
import pytest

from modules.generate.scripts.registry import AlwaysOn, Argument, Menus, Script, Scripts
from modules.web.ui import scripts

MENUS = Menus(samplers=tuple, schedulers=tuple, checkpoints=tuple, find_checkpoint=str)
ARGUMENTS = (
    Argument(name="enabled", label="On", kind="bool", default=False, infotext="Mine"),
    Argument(name="amount", label="Amount", kind="float", default=1, minimum=0, maximum=4, infotext="Mine amount"),
    Argument(name="way", label="Way", kind="choice", default="up", choices=("up", "down")),
)


@dataclasses.dataclass
class Services:
    scripts: Scripts
    menus: Menus = MENUS


def nothing(*_: Any) -> Any:
    return None


@pytest.fixture
def services() -> Services:
    table = Scripts()
    table.add_always_on(AlwaysOn(title="My Script", name="my script", arguments=lambda *_: ARGUMENTS, work=nothing))
    table.add_always_on(AlwaysOn(title="Seed", name="seed", arguments=lambda *_: ARGUMENTS))
    return Services(table)


def test_it_has_an_accordion_with_a_widget_for_each_argument(services: Services) -> None:
    with gr.Blocks():
        form = scripts.build("txt2img", services)
    own = {name: widget.elem_id for name, widget in form.items() if name.startswith("always/")}
    assert own == {
        "always/my script/enabled": "script_txt2img_my_script_on",
        "always/my script/amount": "script_txt2img_my_script_amount",
        "always/my script/way": "script_txt2img_my_script_way",
    }


def test_only_what_is_not_as_it_began_goes_into_the_request(services: Services) -> None:
    values = {"always/my script/enabled": False, "always/my script/amount": 1, "always/my script/way": "up"}
    assert scripts.always_on(values, "txt2img", services) == {}
    values["always/my script/enabled"] = True
    assert scripts.always_on(values, "txt2img", services) == {"my script": [True, 1, "up"]}
    assert scripts.always_on({}, "txt2img", services) == {}  # a page built before it was loaded


def test_what_an_infotext_says_fills_it_in_or_switches_it_off(services: Services) -> None:
    found = scripts.pasted({"Steps": "4", "Mine": "True", "Mine amount": "2.5"}, "img2img", services)
    assert found == {
        "always/my script/enabled": True,
        "always/my script/amount": 2.5,
        "always/my script/way": "up",
    }
    assert scripts.pasted({"Steps": "4"}, "img2img", services) == {"always/my script/enabled": False}
    assert scripts.pasted({"Prompt": "a cat"}, "img2img", services) == {}
    wrong = scripts.pasted({"Steps": "4", "Mine": "True", "Mine amount": "99"}, "img2img", services)
    assert wrong["always/my script/amount"] == 1


def test_scripts_can_make_their_own_widgets(services: Services) -> None:
    def build(tab: str) -> list[Any]:
        return [gr.Textbox(label=tab), gr.Number(3)]

    own = {"build": build, "encode": lambda value: f"<{value}>"}
    services.scripts.add_always_on(AlwaysOn(title="Built", name="built", **own))
    services.scripts.add(Script(title="Chosen", run=nothing, **own))
    with gr.Blocks():
        form = scripts.build("img2img", services)
    names = ["always/built/#0", "always/built/#1", "script/Chosen/#0", "script/Chosen/#1"]
    assert sorted(name for name in form if "#" in name) == names
    values = {**dict(zip(names, ("a", 1, "b", 2), strict=True)), "script": "Chosen"}
    assert scripts.always_on(values, "img2img", services) == {"built": ["<a>", "<1>"]}
    assert scripts.read(values, "img2img", services) == ("Chosen", ["<b>", "<2>"])
