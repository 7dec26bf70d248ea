"""The scripts of a form: a menu, and for each script the widgets of its arguments, shown while it is chosen.

What a script takes is in `generate.scripts.registry`; element ids are A1111's (`script_txt2img_xyz_plot_x_type`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.web.ui.form import QUIET
from modules.web.ui.rows import Widgets

if TYPE_CHECKING:
    from modules.generate.scripts.registry import Argument, Script, Tab
    from modules.web.services import Services

NONE = "None"
FIELD = "script"


def build(tab: Tab, services: Services) -> Widgets:
    """The menu and all widgets. Field names: "script", and "script/<title>/<argument>"."""
    offered = services.scripts.of(tab)
    form: Widgets = {}
    with gr.Group(elem_id=f"{tab}_script_container"):
        menu = gr.Dropdown(
            [NONE, *(script.title for script in offered)], value=NONE, label="Script", elem_id=f"{tab}_script_list"
        )
        groups = []
        for script in offered:
            with gr.Group(visible=False) as group:
                form |= _widgets(tab, script, services)
            groups.append(group)

    def choose(title: str) -> list[Any]:
        return [gr.update(visible=script.title == title) for script in offered]

    if groups:
        menu.change(choose, [menu], groups, **QUIET)
    return {FIELD: menu} | form


def read(values: Mapping[str, Any], tab: Tab, services: Services) -> tuple[str | None, list[Any]]:
    """(the chosen script or None, its arguments in order) from the form's values."""
    title = values.get(FIELD)
    if title in (None, "", NONE):
        return None, []
    script = services.scripts.find(title, tab)
    arguments = script.arguments(tab, services.menus)
    return title, [values.get(_field(script, argument)) for argument in arguments]


def _field(script: Script, argument: Argument) -> str:
    return f"{FIELD}/{script.title}/{argument.name}"


def _widgets(tab: Tab, script: Script, services: Services) -> Widgets:
    made = {}
    for argument in script.arguments(tab, services.menus):
        elem_id = f"script_{tab}_{slug(script.title)}_{slug(argument.label or argument.name)}"
        made[_field(script, argument)] = _KINDS[argument.kind](argument, elem_id)
    for argument in script.arguments(tab, services.menus):
        if argument.follows:
            _follow(argument, made[f"{FIELD}/{script.title}/{argument.follows[0]}"], made[_field(script, argument)])
    return made


def _follow(argument: Argument, leader: Any, menu: Any) -> None:
    """Offer what the other widget's value makes possible; a menu with nothing to offer is not shown."""
    assert argument.follows is not None
    _, choices_of = argument.follows
    menu.visible = bool(choices_of(leader.value))

    def offer(value: Any) -> Any:
        choices = list(choices_of(value))
        return gr.update(choices=choices, value=[], visible=bool(choices))

    leader.change(offer, [leader], [menu], **QUIET)


def slug(text: str) -> str:
    """A title as A1111 puts it into element ids."""
    return re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", text.lower()))


def _number(argument: Argument, elem_id: str) -> Any:
    """A slider where both ends are known."""
    step = argument.step or (1 if argument.kind == "int" else 0.01)
    if argument.minimum is None or argument.maximum is None:
        precision = 0 if argument.kind == "int" else None
        return gr.Number(argument.default, label=argument.label, precision=precision, elem_id=elem_id)
    ends = (argument.minimum, argument.maximum)
    return gr.Slider(*ends, argument.default, step=step, label=argument.label, elem_id=elem_id)


def _text(argument: Argument, elem_id: str) -> Any:
    return gr.Textbox(argument.default or "", label=argument.label, lines=1, max_lines=12, elem_id=elem_id)


def _bool(argument: Argument, elem_id: str) -> Any:
    return gr.Checkbox(bool(argument.default), label=argument.label, elem_id=elem_id)


def _choice(argument: Argument, elem_id: str) -> Any:
    choices = list(argument.choices or ())
    if len(choices) <= 4:
        return gr.Radio(choices, value=argument.default, label=argument.label, elem_id=elem_id)
    return gr.Dropdown(choices, value=argument.default, label=argument.label, elem_id=elem_id)


def _index(argument: Argument, elem_id: str) -> Any:
    """The script takes a number or the label; the label it is."""
    return gr.Dropdown(list(argument.choices or ()), value=argument.default, label=argument.label, elem_id=elem_id)


def _choices(argument: Argument, elem_id: str) -> Any:
    chosen = list(argument.default or ())
    return gr.Dropdown(
        list(argument.choices or ()),
        value=chosen,
        multiselect=True,
        allow_custom_value=not argument.choices,
        label=argument.label,
        elem_id=elem_id,
    )


def _note(argument: Argument, elem_id: str) -> Any:
    return gr.HTML(str(argument.default or argument.label or ""), elem_id=elem_id)


_KINDS: Mapping[str, Callable[[Argument, str], Any]] = {
    "bool": _bool,
    "int": _number,
    "float": _number,
    "text": _text,
    "choice": _choice,
    "index": _index,
    "choices": _choices,
    "note": _note,
}
