"""ControlNet, T2I-Adapter, IP-Adapter and reference, with the units, names and routes of the well-known extension."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.plugins.api import Argument, ExtensionApi, Option, Panel

from . import infotext, preprocessors, routes
from .files import Files
from .units import MOST, Unit, accepted, with_model

TITLE = "ControlNet"
OPTIONS = (
    Option(key="control_net_unit_count", default=3, kind="int", minimum=1, maximum=MOST, label="Units on the page"),
    Option(
        key="control_net_model_cache_size", default=2, kind="int", minimum=1, maximum=20, label="Models kept loaded"
    ),
    Option(key="control_net_models_path", default="", label="A further folder of control models"),
    Option(key="control_net_no_detectmap", default=False, kind="bool", label="Do not append maps to results"),
)


def register(app: ExtensionApi) -> None:
    for option in OPTIONS:
        app.option(option, section=TITLE)
    files = Files(lambda: _folders(app), lambda: [app.models / "clip_vision", app.folder / "clip_vision"])
    cabinets: list[Any] = []

    def begin(values: Mapping[str, Any], studio: Any, request: Any) -> object:
        from . import cabinet, control  # imports torch: not before a job asks for it

        if not cabinets:
            cabinets.append(cabinet.Cabinet(files))
        return control.Control(values, studio, request, cabinets[0])

    app.always_on(
        TITLE,
        [_argument(number) for number in range(MOST)],
        begin,
        check=lambda values: _check(values, files),
        wanted=lambda values: any(Unit.read(value) is not None for value in values.values()),
        accept=lambda values: accepted(values, app.studio.inputs),
        panel=_panel(app, files),
    )
    app.route(routes.router(files, lambda: int(app.options["control_net_unit_count"])))
    app.at_unload(lambda: [each.clear() for each in cabinets])


def _panel(app: ExtensionApi, files: Files) -> Panel:
    """The widgets; the page has as many units as the setting said when it was built."""
    count = int(app.options["control_net_unit_count"])

    def build(tab: str) -> list[Any]:
        from . import page  # imports gradio: not before a page is built

        return page.build(tab, files, count)

    def gather(values: list[Any]) -> list[Any]:
        from . import page

        return page.gather(values, app.studio.inputs)

    def spread(told: Mapping[str, Any]) -> Mapping[int, Any]:
        from . import page

        return page.spread(told, count)

    return Panel(build=build, gather=gather, spread=spread)


def _argument(number: int) -> Argument:
    return Argument(
        name=f"unit{number}",
        label=f"ControlNet Unit {number}",
        kind="value",
        infotext=infotext.label(number),
        said=infotext.write,
        heard=infotext.parse,
    )


def _folders(app: ExtensionApi) -> list[Path]:
    named = (str(app.options["control_net_models_path"]).strip(), app.flags.controlnet_dir)
    more = [Path(each).expanduser() for each in named if each]
    return [app.models / "ControlNet", app.folder / "models", *more]


def _check(values: Mapping[str, Any], files: Files) -> None:
    """Before a job is queued. Raises BadRequest or NotFound for names that there are not, DamagedFile for files that
    nobody builds.
    """
    for value in values.values():
        unit = Unit.read(value)
        if unit is None or preprocessors.find(unit.module).free:
            continue
        files.checked(with_model(unit).model)
