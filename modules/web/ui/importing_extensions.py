"""Settings, "Import from A1111": its extensions, installed from where they came from or copied, one or all of them.

Drawn by assets/importing.js. Each is a job of the extension manager: first a dry run, whose findings the reader sees,
then the installation. Nothing in A1111's folder is changed, and the page never has the logins that addresses may hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import NotFound
from modules.settings import a1111
from modules.web.ui.extensions import LOGIN, Board
from modules.web.ui.island import island
from modules.web.ui.screen import OWNER

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.web.services import Services


@dataclasses.dataclass(frozen=True, kw_only=True)
class Newcomers:
    """What the section asks: every answer is JSON."""

    services: Services

    def answers(self) -> dict[str, Callable[[JsonObject], Any]]:
        """For `island`."""
        return {"list": self.list, "install": self.install, "follow": Board(services=self.services).follow}

    def list(self, asked: JsonObject) -> JsonObject:
        """{"folder": A1111's} -> its extensions and how each can be had, Easel's folder of extensions, and why nothing
        can be installed, "" where it can. Raises BadRequest, Forbidden.
        """
        found = self._found(asked)
        here = {each.name.casefold() for each in self.services.extensions()}
        rows = [
            {
                "name": name,
                "address": LOGIN.sub("", address),
                "copy": (found.root / "extensions" / name / ".git").exists(),
                "here": name.casefold() in here,
            }
            for name, address in found.extensions
        ]
        own = str(self.services.paths.extensions)
        return {"extensions": rows, "folder": own, "refusal": self.services.installing.refusal()}

    def install(self, asked: JsonObject) -> JsonObject:
        """{"folder", "name", "copy": whether out of the folder, "dry_run", "commit": the one that was looked at} -> the
        job's id. Raises BadRequest, Forbidden, NotFound.
        """
        found, name = self._found(asked), str(asked["name"])
        known = dict(found.extensions)
        if name not in known:
            raise NotFound("Extension", name, list(known), field="name")
        url = str(found.root / "extensions" / name) if asked["copy"] else known[name]
        values = {"url": url, "name": name, "dry_run": bool(asked["dry_run"]), "commit": str(asked.get("commit") or "")}
        return {"id": self.services.installing.submit("install", values, owner=OWNER)}

    def _found(self, asked: JsonObject) -> a1111.Found:
        return look(str(asked["folder"]), self.services)


def look(folder: str, services: Services) -> a1111.Found:
    """What a folder holds, if the visitor may name it. Raises BadRequest, Forbidden."""
    name = folder.strip()
    services.folders.check(name, field="folder")
    return a1111.look(Path(name).expanduser())


def build(services: Services) -> Any:
    """Make the island, where the caller is."""
    return island("importing", "import_extensions", Newcomers(services=services).answers())
