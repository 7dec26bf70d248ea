"""What the web asks of whoever installs extensions (`modules.plugins.installing`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from modules.core.errors import Forbidden

if TYPE_CHECKING:
    from modules.core.types import JsonObject

INDEX = "https://raw.githubusercontent.com/AUTOMATIC1111/stable-diffusion-webui-extensions/master/index.json"
"""Where A1111's list of extensions is; asked only when somebody wants to see it."""


class Installing(Protocol):
    """Acts are jobs: "install", "check", "update", "uninstall", "restore", "roll-back"; each with its values.

    refusal: why nobody may, "" where they may; submit -> job id, raises Forbidden, BadRequest, NotFound; available: a
    list of extensions from an address or a file; states: the newest first; trash: what was uninstalled.
    """

    def refusal(self) -> str: ...
    def allow(self) -> None: ...
    def submit(self, act: str, values: JsonObject, *, id: str | None = None, owner: str = "") -> str: ...
    def available(self, where: str) -> JsonObject: ...
    def states(self) -> list[JsonObject]: ...
    def trash(self) -> list[str]: ...


class NoInstalling:
    """Where nothing is installed: in parts of the program without extensions."""

    def refusal(self) -> str:
        return "This program installs no extensions."

    def allow(self) -> None:
        raise Forbidden(self.refusal())

    def submit(self, act: str, values: JsonObject, *, id: str | None = None, owner: str = "") -> str:
        raise Forbidden(self.refusal())

    def available(self, where: str) -> JsonObject:
        raise Forbidden(self.refusal())

    def states(self) -> list[JsonObject]:
        return []

    def trash(self) -> list[str]:
        return []
