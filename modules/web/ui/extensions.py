"""The Extensions tab: what is in extensions/, whether it runs, and why not; installing, updating and going back.

Drawn by assets/extensions.js. What takes time is a job; the page asks how it goes until it has ended.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modules.web.installing import INDEX
from modules.web.ui.island import island
from modules.web.ui.screen import OWNER

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.web.services import Services

ACTS = ("enable", "disable", "reload")
JOBS = ("install", "check", "update", "uninstall", "restore", "roll-back")
ENDED = ("done", "failed", "cancelled")
LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """What the tab asks: every answer is JSON."""

    services: Services

    def answers(self) -> dict[str, Callable[[JsonObject], Any]]:
        """For `island`."""
        return {
            "list": self.list,
            "do": self.act,
            "job": self.job,
            "follow": self.follow,
            "available": self.available,
            "states": self.states,
        }

    def list(self, asked: JsonObject) -> JsonObject:
        """All of them, the folder that they are in, and why nothing can be installed, "" where it can."""
        found = [_shown(each) | {"settings": self._section(each)} for each in self.services.extensions()]
        refusal = self.services.installing.refusal()
        folder = str(self.services.paths.extensions)
        return {"extensions": found, "folder": folder, "refusal": refusal, "index": INDEX}

    def _section(self, extension: Any) -> str:
        """The element with its settings in the tab Settings, "" where it has none."""
        registry = self.services.options.registry
        sections = [registry[key].section for key in extension.settings if key in registry and registry[key].works]
        return f"settings_{sections[0]}" if sections else ""

    def act(self, asked: JsonObject) -> JsonObject:
        """{"act": enable, disable or reload, "name": …} -> the list, and what only a restart can do."""
        if asked["act"] not in ACTS:
            raise ValueError(asked["act"])
        self.services.installing.allow()
        words = self.services.manage_extension(asked["act"], str(asked["name"]))
        return self.list(asked) | {"words": words}

    def job(self, asked: JsonObject) -> JsonObject:
        """{"act": one of JOBS, "values": {…}} -> the job's id."""
        if asked["act"] not in JOBS:
            raise ValueError(asked["act"])
        return {"id": self.services.installing.submit(asked["act"], dict(asked["values"]), owner=OWNER)}

    def follow(self, asked: JsonObject) -> JsonObject:
        """{"id"} -> whether it has ended, and in which words."""
        job = self.services.queue.get(str(asked["id"]))
        if job.kind != "extensions":
            raise ValueError(job.kind)
        return {"ended": job.state in ENDED, "state": job.state, "error": job.error or "", "result": job.result or {}}

    def available(self, asked: JsonObject) -> JsonObject:
        """{"url"} -> the extensions of a list."""
        return self.services.installing.available(str(asked["url"]))

    def states(self, asked: JsonObject) -> JsonObject:
        """Every state of all extensions, and what lies in the trash."""
        return {"states": self.services.installing.states(), "trash": self.services.installing.trash()}


def _shown(extension: Any) -> JsonObject:
    manifest = extension.manifest
    git = extension.repository()
    return {
        "name": extension.name,
        "title": manifest.name or extension.name,
        "version": manifest.version,
        "description": " ".join(part for part in (manifest.description, _permissions(manifest)) if part),
        "builtin": extension.builtin,
        "own": extension.own,
        "state": extension.state,
        "error": extension.error,
        "traceback": extension.traceback,
        "remote": LOGIN.sub("", git.remote) if git is not None else "",
        "branch": git.branch if git is not None else "",
        "commit": git.version if git is not None else "",
    }


def _permissions(manifest: Any) -> str:
    """What it declares to do beyond making pictures, in words; "" where it says nothing of that."""
    if manifest.permissions is None:
        return ""
    return f"Permissions: {', '.join(manifest.permissions) or 'none'}."


def build(services: Services) -> Any:
    """Make the island, inside the tab that the caller has opened."""
    return island("extensions", "extensions_installed_html", Board(services=services).answers())
