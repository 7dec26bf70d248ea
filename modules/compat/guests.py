"""The compatibility layer as the extension manager sees it: `plugins.guest.Guests`, and what the page asks of it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.compat import install, loader, scripting
from modules.compat.loader import Loaded

if TYPE_CHECKING:
    from fastapi import FastAPI

    from modules.compat.room import Room

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guest:
    """A loaded folder; see `loader.Loaded`. remove: takes out what can be without a restart."""

    name: str
    path: Path
    error: str
    traceback: str
    javascript: tuple[Path, ...]
    css: tuple[Path, ...]
    localizations: Mapping[str, Path]
    remove: Callable[[], None]


class Guests:
    """Made once by the composition root."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._done = False

    @classmethod
    def open(cls, app: Any) -> Guests:
        """Make A1111's names importable for this program."""
        return cls(install.install(app))

    def close(self) -> None:
        """Take everything out again."""
        install.uninstall(self.room)

    def accepts(self, folder: Path) -> bool:
        return loader.is_guest(folder)

    def load(self, folder: Path) -> Guest:
        """Run a folder's scripts. Never raises for what they do."""
        made = loader.load(self.room, folder)
        if self._done:  # the program runs already: join the newcomer alone
            install.join(self.room, [made])
        return Guest(
            name=made.name,
            path=folder,
            error=made.error,
            traceback=made.traceback,
            javascript=tuple(made.javascript),
            css=tuple(made.css),
            localizations=made.localizations,
            remove=lambda: self._remove(made),
        )

    def loaded(self) -> None:
        """Every folder is there: join them with the program. Call before the page is built."""
        if not self._done:
            self._done = True
            install.join(self.room, self.room.loaded)

    def _remove(self, made: Loaded) -> None:
        """Callbacks, scripts and rows of a folder go; widgets stay until the next start."""
        inside = str(made.path)
        callbacks = self.room.callbacks
        for each in callbacks.of("script_unloaded"):
            if each.script.startswith(inside):
                callbacks.one("script_unloaded", each)
        callbacks.drop(lambda each: each.script.startswith(inside))
        for data in (scripting.scripts_data, scripting.postprocessing_scripts_data):
            data[:] = [each for each in data if each.basedir != inside]
        for runner in (self.room.txt2img, self.room.img2img):
            runner.forget(inside)
        for undo in made.undo:
            undo()
        made.undo.clear()
        if made in self.room.loaded:
            self.room.loaded.remove(made)

    # --- the page

    def building(self) -> AbstractContextManager[None]:
        """Around the building of the page."""
        from modules.compat import page

        self.loaded()
        return page.building(self.room)

    def build_tabs(self) -> list[str]:
        """The tabs, inside the open gr.Tabs -> their titles."""
        from modules.compat import page

        return page.build_tabs(self.room)

    def started(self, blocks: Any, asgi: FastAPI) -> None:
        """The page is served."""
        from modules.compat import page

        page.started(self.room, blocks, asgi)

    def routes(self, asgi: FastAPI) -> None:
        """Serve the scripts that `head` names."""
        from modules.compat import page

        page.routes(self.room, asgi)

    def head(self) -> str:
        from modules.compat import page

        return page.head(self.room)

    def css(self) -> str:
        from modules.compat import page

        return page.css(self.room)
