"""A1111's scripts as rows of Easel's table of scripts: listed, checked and chosen like its own."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modules.compat import pasting, running, scripting, values
from modules.generate.scripts.registry import AlwaysOn, Argument, Kind, Menus, Script, Tab

if TYPE_CHECKING:
    from modules.compat.room import Room
    from modules.generate.scripts.context import Context, Request, Result

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen(Script):
    """A script that a request can choose; its arguments are taken as they come."""

    def read(self, tab: Tab, menus: Menus, given: Sequence[Any]) -> dict[str, Any]:
        return {"args": list(given)}


def install(room: Room, runner: scripting.ScriptRunner, scripts: Sequence[Any]) -> list[Callable[[], None]]:
    """Put scripts of a tab into the table -> what takes them out."""
    tab: Tab = "img2img" if runner.is_img2img else "txt2img"
    undo: list[Callable[[], None]] = []
    for script in scripts:
        if script.alwayson:
            undo.append(room.app.scripts.add_always_on(always_on(room, runner, script, tab)))
            continue
        try:
            undo.append(room.app.scripts.add(chosen(room, runner, script, tab)))
        except ValueError as error:
            log.warning("%s: %s", script.filename, error)
    return undo


def chosen(room: Room, runner: Any, script: Any, tab: Tab) -> Chosen:
    """The row of a script with run()."""

    def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
        decoded = [values.decoded(room, value) for value in given["args"]]
        return running.chosen(room, script, context, request, decoded)

    return Chosen(
        title=runner.title_of(script),
        run=run,
        arguments=_arguments(runner, script),
        tabs=(tab,),
        **_building(room, runner, script),
    )


def always_on(room: Room, runner: Any, script: Any, tab: Tab) -> AlwaysOn:
    """The row of a script that runs with every job."""
    title = runner.title_of(script)
    return AlwaysOn(
        title=title,
        name=title.lower(),
        arguments=_arguments(runner, script),
        tabs=(tab,),
        gather=lambda given: given[: len(script.controls or ())],
        **_building(room, runner, script, further=True),
    )


def _building(room: Room, runner: Any, script: Any, *, further: bool = False) -> dict[str, Any]:
    """How its own widgets are made, how their values go into a job's row, and what a pasted text puts into them.

    further: the page is also told of the widgets that nothing but `infotext_fields` names, behind those that count.
    """

    def build(tab: Tab) -> list[Any]:
        from modules.compat import gradio3

        with gradio3.speaking(room), gradio3.guest():
            controls = runner.build(script)
        return [*controls, *(script.pasted_controls if further else ())]

    return {
        "build": build,
        "encode": lambda value: values.encoded(room, value),
        "pasting": pasting.pasting(room, runner, script),
    }


def _arguments(runner: Any, script: Any) -> Callable[[Tab, Menus], Sequence[Argument]]:
    def arguments(tab: Tab, menus: Menus) -> list[Argument]:
        runner.build_all()
        return [_argument(place, control) for place, control in enumerate(script.controls or ())]

    return arguments


_KINDS: dict[type, Kind] = {bool: "bool", int: "float", float: "float", str: "text"}


def _argument(place: int, control: Any) -> Argument:
    """What /sdapi/v1/script-info tells of a widget."""
    default = scripting.default_of(control)
    default = default if default is None or isinstance(default, str | bool | int | float) else None
    choices = getattr(control, "choices", None)
    names = [str(each[0] if isinstance(each, list | tuple) else each) for each in choices or ()]
    return Argument(
        name=str(place),
        label=str(getattr(control, "label", "") or ""),
        kind=_KINDS.get(type(default), "text"),
        default=default,
        minimum=getattr(control, "minimum", None),
        maximum=getattr(control, "maximum", None),
        step=getattr(control, "step", None),
        choices=tuple(names) if choices else None,
    )
