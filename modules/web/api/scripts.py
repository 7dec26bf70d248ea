"""What scripts there are: /sdapi/v1/scripts, /script-info; and which of them a request chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import Field

from modules.prompts import importing
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modules.generate.scripts.registry import AlwaysOn, Argument, Script, Tab
    from modules.web.services import Services

NO_SCRIPT = (None, "", "None")


class ScriptsList(Schema):
    txt2img: list[str] = Field(description="Titles of scripts (txt2img)")
    img2img: list[str] = Field(description="Titles of scripts (img2img)")


class ScriptArg(Schema):
    label: str = Field(description="Name of the argument in the page")
    value: Any = Field(default=None, description="Default value of the argument")
    minimum: Any = Field(default=None, description="Least value of the argument")
    maximum: Any = Field(default=None, description="Greatest value of the argument")
    step: Any = Field(default=None, description="Step of the argument's values")
    choices: list[str] | None = Field(default=None, description="Possible values")


class ScriptInfo(Schema):
    name: str = Field(description="Script name")
    is_alwayson: bool = Field(description="Whether the script runs with every request")
    is_img2img: bool = Field(description="Whether it belongs to img2img")
    args: list[ScriptArg] = Field(description="Arguments, in the order of script_args")


def routes(services: Services) -> APIRouter:
    """Lists of scripts."""
    router = APIRouter()

    @router.get("/scripts", response_model=ScriptsList)
    def get_scripts_list() -> ScriptsList:
        return ScriptsList(txt2img=_names(services, "txt2img"), img2img=_names(services, "img2img"))

    @router.get("/script-info", response_model=list[ScriptInfo])
    def get_script_info() -> list[ScriptInfo]:
        tabs: tuple[Tab, ...] = ("txt2img", "img2img")
        return [info for tab in tabs for info in _infos(services, tab)]

    return router


def always_on(services: Services, asked: dict[str, Any], tab: Tab) -> dict[str, Any]:
    """`alwayson_scripts` -> `extension_args`. Raises NotFound, BadRequest for what cannot be honoured."""
    return services.scripts.check_always_on(asked, tab, services.menus)


def told(services: Services, infotext: str, tab: Tab) -> dict[str, Any]:
    """What an infotext says of always-on scripts, as `extension_args`."""
    found: dict[str, Any] = {}
    parsed = importing.parse(infotext)
    for script in services.scripts.always_on(tab):
        if script.pasting is not None and (arguments := script.pasting.arguments(parsed)):
            found[script.key] = arguments
    for key, values in services.scripts.told(services.menus, tab, parsed).items():
        row = next(script for script in services.scripts.always_on(tab) if script.key == key)
        rows = row.arguments(tab, services.menus) if row.arguments else ()
        found[key] = [values.get(each.name, True if each.name == "enabled" else None) for each in rows]
    return found


def chosen(services: Services, name: str | None, tab: Tab) -> str | None:
    """The script that a request asks for, None for none. Raises NotFound, BadRequest for names that are none."""
    if name in NO_SCRIPT or name is None:
        return None
    return services.scripts.find(name, tab).title


def _names(services: Services, tab: Tab) -> list[str]:
    scripts = services.scripts
    return [*(script.name for script in scripts.of(tab)), *(script.name for script in scripts.always_on(tab))]


def _infos(services: Services, tab: Tab) -> list[ScriptInfo]:
    shown: list[Script | AlwaysOn] = [*services.scripts.of(tab), *services.scripts.always_on(tab)]
    always = services.scripts.always_on(tab)
    return [
        ScriptInfo(
            name=script.name,
            is_alwayson=script in always,
            is_img2img=tab == "img2img",
            args=_arguments(script.arguments(tab, services.menus)),
        )
        for script in shown
        if script.arguments is not None
    ]


def _arguments(arguments: Sequence[Argument]) -> list[ScriptArg]:
    return [
        ScriptArg(
            label=argument.label,
            value=list(argument.default) if isinstance(argument.default, tuple) else argument.default,
            minimum=argument.minimum,
            maximum=argument.maximum,
            step=argument.step,
            choices=None if argument.choices is None else list(argument.choices),
        )
        for argument in arguments
    ]
