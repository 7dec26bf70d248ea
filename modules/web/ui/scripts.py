"""The scripts of a form: a menu, and for each script the widgets of its arguments, shown while it is chosen.

What a script takes is in `generate.scripts.registry`; element ids are A1111's (`script_txt2img_xyz_plot_x_type`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.web.ui import elements
from modules.web.ui.form import QUIET, seen
from modules.web.ui.rows import Widgets

if TYPE_CHECKING:
    from modules.generate.scripts.registry import AlwaysOn, Argument, Script, Tab
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
            with gr.Group(visible=seen(False)) as group:
                form |= _made(tab, script, services)
            groups.append(group)

    def choose(title: str) -> list[Any]:
        return [gr.update(visible=seen(script.title == title)) for script in offered]

    if groups:
        menu.change(choose, [menu], groups, **QUIET)
    return {FIELD: menu} | form | _always_on(tab, services)


def _always_on(tab: Tab, services: Services) -> Widgets:
    """A closed accordion for each always-on script that does work. Field names: "always/<key>/<argument>"."""
    form: Widgets = {}
    for script in services.scripts.always_on(tab):
        if not _shown(script):
            continue
        with gr.Accordion(script.title, open=False, elem_id=f"script_{tab}_{slug(script.title)}"):
            form |= _made(tab, script, services)
    return form


def _shown(script: AlwaysOn) -> bool:
    return script.build is not None or (script.work is not None and script.arguments is not None)


def always_on(values: Mapping[str, Any], tab: Tab, services: Services) -> dict[str, list[Any]]:
    """The arguments of always-on scripts that are not as they began, for `Generation.extension_args`."""
    found: dict[str, list[Any]] = {}
    for script in services.scripts.always_on(tab):
        if script.build is not None:
            given = _encoded(script, _built(values, script))
            found |= {script.key: given if script.gather is None else script.gather(given)}
        elif _shown(script) and script.arguments:
            arguments = script.arguments(tab, services.menus)
            given = [values.get(_field(script, argument)) for argument in arguments]
            if any(value is not None and value != each.default for each, value in zip(arguments, given, strict=True)):
                found[script.key] = given
    return found


def pasted(parsed: Mapping[str, str], tab: Tab, services: Services) -> dict[str, Any]:
    """What an infotext says of always-on scripts, as fields of the form; those that it does not name are switched off
    where it has parameters at all.
    """
    told = services.scripts.told(services.menus, tab, parsed)
    fields: dict[str, Any] = {}
    for script in services.scripts.always_on(tab):
        if script.spread is not None and (script.key in told or "Steps" in parsed):
            spread = script.spread(told.get(script.key, {}))
            fields |= {f"{script.place}/#{number}": value for number, value in spread.items()}
        if not _shown(script) or script.build is not None or script.arguments is None:
            continue
        for each in script.arguments(tab, services.menus):
            if script.key in told:
                fields[_field(script, each)] = told[script.key].get(each.name, each.name == "enabled" or each.default)
            elif each.name == "enabled" and "Steps" in parsed:
                fields[_field(script, each)] = False
    return fields


def spread(heard: Mapping[str, Any], tab: Tab, services: Services) -> dict[str, Any]:
    """What scripts with widgets of their own read from an infotext, as fields of the form."""
    fields: dict[str, Any] = {}
    rows: list[Script | AlwaysOn] = [*services.scripts.of(tab), *services.scripts.always_on(tab)]
    for script in rows:
        if script.pasting is not None:
            found = script.pasting.spread(heard)
            fields |= {f"{script.place}/#{number}": value for number, value in found.items()}
    return fields


def _built(values: Mapping[str, Any], script: Script | AlwaysOn) -> list[Any]:
    """The values of widgets that a script made itself, in their order."""
    start = f"{script.place}/#"
    numbers = [int(name.removeprefix(start)) for name in values if name.startswith(start)]
    return [values[f"{start}{number}"] for number in sorted(numbers)]


def _encoded(script: Script | AlwaysOn, values: list[Any]) -> list[Any]:
    return values if script.encode is None else [script.encode(value) for value in values]


def _made(tab: Tab, script: Script | AlwaysOn, services: Services) -> Widgets:
    """The widgets of a script, by itself or of its arguments."""
    if script.build is not None:
        return {f"{script.place}/#{number}": widget for number, widget in enumerate(script.build(tab))}
    return _widgets(tab, script, services)


def read(values: Mapping[str, Any], tab: Tab, services: Services) -> tuple[str | None, list[Any]]:
    """(the chosen script or None, its arguments in order) from the form's values."""
    title = values.get(FIELD)
    if title in (None, "", NONE):
        return None, []
    script = services.scripts.find(title, tab)
    if script.build is not None:
        return title, _encoded(script, _built(values, script))
    arguments = script.arguments(tab, services.menus)
    return title, [values.get(_field(script, argument)) for argument in arguments]


def _field(script: Script | AlwaysOn, argument: Argument) -> str:
    return f"{script.place}/{argument.name}"


def _widgets(tab: Tab, script: Script | AlwaysOn, services: Services) -> Widgets:
    made = {}
    arguments = script.arguments(tab, services.menus) if script.arguments else ()
    for argument in arguments:
        usual = f"script_{tab}_{slug(script.title)}_{slug(argument.label or argument.name)}"
        elem_id = elements.script_argument(script.title, argument.name, tab) or usual
        made[_field(script, argument)] = _KINDS[argument.kind](argument, elem_id)
    for argument in arguments:
        if argument.follows:
            _follow(argument, made[f"{script.place}/{argument.follows[0]}"], made[_field(script, argument)])
    return made


def argument(described: Argument, elem_id: str) -> Any:
    """The widget of an argument."""
    return _KINDS[described.kind](described, elem_id)


def _follow(argument: Argument, leader: Any, menu: Any) -> None:
    """Offer what the other widget's value makes possible; a menu with nothing to offer is not shown."""
    assert argument.follows is not None
    _, choices_of = argument.follows
    menu.visible = seen(choices_of(leader.value))

    def offer(value: Any) -> Any:
        choices = list(choices_of(value))
        return gr.update(choices=choices, value=[], visible=seen(choices))

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
    info = argument.help or None
    return gr.Slider(*ends, argument.default, step=step, label=argument.label, info=info, elem_id=elem_id)


def _text(argument: Argument, elem_id: str) -> Any:
    return gr.Textbox(argument.default or "", label=argument.label, lines=1, max_lines=12, elem_id=elem_id)


def _bool(argument: Argument, elem_id: str) -> Any:
    info = argument.help or None
    return gr.Checkbox(bool(argument.default), label=argument.label, info=info, elem_id=elem_id)


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
    "value": _note,
}
