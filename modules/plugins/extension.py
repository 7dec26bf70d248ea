"""One extension: where it lies, what it says of itself, what became of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, TypeAlias

from modules.plugins import repository
from modules.plugins.manifest import Manifest
from modules.plugins.repository import Repository

CODE = "extension.py"
State: TypeAlias = Literal["found", "loaded", "disabled", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extension:
    """name: its folder's; builtin: part of Easel; own: has an extension.py (the others are A1111's); error: one line
    for a person, "" where all is well; traceback: the whole of it; settings: keys of those it added,
    while it is loaded.
    """

    name: str
    folder: Path
    manifest: Manifest = dataclasses.field(default_factory=Manifest)
    builtin: bool = False
    own: bool = True
    state: State = "found"
    error: str = ""
    traceback: str = ""
    settings: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """By which others mean it."""
        return frozenset(name.casefold() for name in (self.name, self.manifest.name) if name)

    def repository(self) -> Repository | None:
        """Where it came from; None where it is no git repository. Asks git."""
        return repository.read(self.folder)

    def failed(self, error: str, traceback: str = "") -> Extension:
        return dataclasses.replace(self, state="failed", error=error, traceback=traceback)
