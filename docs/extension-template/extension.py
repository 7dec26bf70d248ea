"""A template: an always-on script with a slider, a setting, a listener of every job, a route, a file of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from modules.plugins.api import ExtensionApi, Option, flag, number

if TYPE_CHECKING:
    from modules.generate.moments import Guided, Saved

PARAMETERS = (
    flag("enabled", "Enable brightening", infotext="Brightening enabled"),
    number("amount", "Amount", 0.1, -1, 1, 0.01, infotext="Brightening amount"),
)


def register(app: ExtensionApi) -> None:
    """Called once when the extension is loaded. What is added here is taken out when it is unloaded."""
    app.always_on("Brightening", PARAMETERS, Brightening)
    app.option(Option(key="template_greeting", default="Hello", label="What the route says"))
    app.on(app.moments.saved, lambda event: told(app, event))
    app.route(routes(app))
    app.page_file("javascript/template.js")


class Brightening:
    """The script's part in one job: methods named after moments are called at them, in this job alone."""

    def __init__(self, values: Mapping[str, Any], studio: object, request: object) -> None:
        self._amount = values["amount"]

    def guided(self, event: Guided) -> None:
        event.denoised = event.denoised + self._amount


def told(app: ExtensionApi, event: Saved) -> None:
    app.log.info("A picture was saved: %s", event.path)


def routes(app: ExtensionApi) -> APIRouter:
    router = APIRouter(prefix="/easel/template")

    @router.get("/greeting")
    def greeting() -> dict[str, str]:
        return {"greeting": app.options["template_greeting"]}

    return router
