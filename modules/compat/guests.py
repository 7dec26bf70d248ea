"""The compatibility layer as the extension manager sees it: `plugins.guest.Guests`, and what the page asks of it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.compat import callbacks, install, loader, pasting, scripting
from modules.compat.loader import Loaded
from modules.web.additions import PageFile, PageTab

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
    worked: int = 0


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
        if not self.room.loaded:
            install.settle(self.room)
            self.room.undo.append(self.room.app.additions.folders.add(self.room.app.paths.root / "tmp"))
            self.room.undo.append(self.room.app.additions.late_tabs.add(self._tabs))
            self.room.undo.append(self.room.app.additions.heard.add(pasting.hear(self.room)))
            self.room.undo.append(self.room.app.additions.counted.add(callbacks.counted))
            self.room.undo.append(self.room.app.additions.training.add(self._train_tabs))
        values, _, failed = loader.arguments([folder], sys.argv[1:])
        self.room.arguments |= values
        with self.room.owning(str(folder)):
            made = loader.load(self.room, folder)
        if failed:
            made.error = made.error or "preload.py failed"
            made.traceback = failed[folder.name] + made.traceback
        made.undo.append(self.room.app.additions.folders.add(folder))
        for file in (*made.javascript, *made.css):
            made.undo.append(self.room.app.additions.files.add(PageFile(path=file, owner=made.name)))
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
            worked=made.worked,
            remove=lambda: self._remove(made),
        )

    def loaded(self) -> None:
        """Every folder is there: join them with the program. Call before the page is built."""
        if not self._done:
            self._done = True
            install.join(self.room, self.room.loaded)

    def settings(self, folder: Path) -> Sequence[str]:
        """Keys of the settings that a folder's scripts have declared."""
        return [key for key, path in self.room.owners.items() if Path(path).is_relative_to(folder)]

    def failures(self, folder: Path) -> Sequence[str]:
        """What a folder's scripts failed at since they were loaded, each with its traceback: widgets, callbacks."""
        return [
            f"{Path(file).name}, {each}"
            for file, every in list(self.room.failures.items())
            if Path(file).is_relative_to(folder)
            for each in every
        ]

    def _remove(self, made: Loaded) -> None:
        """Callbacks, scripts and rows of a folder go; widgets stay until the next start."""
        inside = str(made.path)
        registered = self.room.callbacks
        for kind in ("before_reload", "script_unloaded"):
            for each in registered.of(kind):
                if each.script.startswith(inside):
                    registered.one(kind, each)
        registered.drop(lambda each: each.script.startswith(inside))
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
        self.loaded()
        if not self.room.loaded:
            return contextlib.nullcontext()
        from modules.compat import page

        return page.building(self.room)

    def _tabs(self) -> Sequence[PageTab]:
        """What on_ui_tabs gives, when the page's own tabs are there. With the last one the buttons are joined."""
        from modules.compat import page, sending

        sending.declare(self.room)
        made = [PageTab(id=id, title=title, build=blocks.render) for title, id, blocks in page.tabs(self.room)]
        if not made:
            sending.join(self.room)
            return made

        def build_last() -> None:
            last.build()
            sending.join(self.room)

        last = made[-1]
        return [*made[:-1], dataclasses.replace(last, build=build_last)]

    def _train_tabs(self) -> None:
        """What on_ui_train_tabs makes inside the Train tab."""
        from modules.compat import page

        page.train_tabs(self.room)

    def started(self, asgi: FastAPI) -> None:
        """The server's application is complete: on_app_started."""
        if self.room.loaded:
            from modules.compat import page

            page.started(self.room, asgi)
