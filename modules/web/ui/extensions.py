"""The Extensions tab: what is in extensions/, whether it runs, and why not; switched on and off without a restart.

Drawn by assets/extensions.js. Installing is copying a folder there: this page fetches nothing from anywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modules.web.ui.island import island

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.web.services import Services

ACTS = ("enable", "disable", "reload")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """What the tab asks: every answer is JSON."""

    services: Services

    def answers(self) -> dict[str, Callable[[JsonObject], Any]]:
        """For `island`."""
        return {"list": self.list, "do": self.act}

    def list(self, asked: JsonObject) -> JsonObject:
        """All of them, and the folder that they are in."""
        found = [_shown(each) for each in self.services.extensions()]
        return {"extensions": found, "folder": str(self.services.paths.extensions)}

    def act(self, asked: JsonObject) -> JsonObject:
        """{"act": enable, disable or reload, "name": …} -> the list, and what only a restart can do."""
        if asked["act"] not in ACTS:
            raise ValueError(asked["act"])
        words = self.services.manage_extension(asked["act"], str(asked["name"]))
        return self.list(asked) | {"words": words}


def _shown(extension: Any) -> JsonObject:
    manifest = extension.manifest
    return {
        "name": extension.name,
        "title": manifest.name or extension.name,
        "version": manifest.version,
        "description": manifest.description,
        "builtin": extension.builtin,
        "own": extension.own,
        "state": extension.state,
        "error": extension.error,
        "traceback": extension.traceback,
    }


def build(services: Services) -> Any:
    """Make the island, inside the tab that the caller has opened."""
    return island("extensions", "extensions_installed_html", Board(services=services).answers())
