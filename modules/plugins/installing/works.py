"""Temporary folders beside the extensions, on the same disk: what is made there takes its place by renaming.

.installing-<process>-…/new   what is being made        .installing-<process>-…/old/<name>   what had to make room
.trash/<name>~<date>          what was uninstalled, and what was replaced though somebody had edited it
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from modules.core.errors import NotFound

log = logging.getLogger(__name__)

MARK, TRASH = ".installing-", ".trash"
PASSING = frozenset(("__pycache__", ".git", ".pytest_cache"))


class Works:
    """folder: the user's extensions/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trash = folder / TRASH

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """A folder for one act; gone afterwards, and what still lies in its old/ is back in its place."""
        made = self.folder / f"{MARK}{os.getpid()}-{secrets.token_hex(4)}"
        (made / "new").mkdir(parents=True)
        try:
            yield made
        finally:
            self._clear(made)

    def sweep(self) -> list[str]:
        """What installers left that are no more -> names of extensions that were put back. Call it at the start."""
        back = []
        for left in sorted(self.folder.glob(f"{MARK}*")):
            process = left.name.removeprefix(MARK).partition("-")[0]
            alive = process.isdigit() and int(process) != os.getpid() and psutil.pid_exists(int(process))
            if not alive:
                log.warning("An installation was cut off: %s is swept away.", left.name)
                back += self._clear(left)
        return back

    def swap(self, work: Path, name: str, new: Path | None) -> Callable[[], None]:
        """Put `new` (None: nothing) in the place of an extension -> what takes that back."""
        place, old = self.folder / name, work / "old" / name
        old.parent.mkdir(exist_ok=True)
        had = place.exists() or place.is_symlink()
        if had:
            os.replace(place, old)
        if new is not None:
            try:
                os.replace(new, place)
            except OSError:
                if had:
                    os.replace(old, place)
                raise

        def back() -> None:
            if new is not None:
                os.replace(place, new)
            if had:
                os.replace(old, place)

        return back

    def done(self, work: Path, name: str, *, keep: bool) -> None:
        """What made room is not needed any more; keep: it goes to the trash."""
        old = work / "old" / name
        if old.is_symlink():
            old.unlink()
        elif old.exists() and keep:
            self.trash.mkdir(exist_ok=True)
            now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
            os.replace(old, self.trash / f"{name}~{now}-{secrets.token_hex(2)}")
        elif old.exists():
            gone = work / "gone"
            gone.mkdir(exist_ok=True)
            os.replace(old, gone / name)  # at once, so that a sweep does not bring half of it back

    def trashed(self) -> list[str]:
        """Names of what lies in the trash, the newest first."""
        found = self.trash.iterdir() if self.trash.is_dir() else ()
        return sorted((each.name for each in found), key=lambda name: name.rpartition("~")[2], reverse=True)

    def from_trash(self, name: str) -> Path:
        """The newest of an extension, by its name or by its whole name there. Raises NotFound."""
        all = self.trashed()
        for each in all:
            if name in (each, each.rpartition("~")[0]):
                return self.trash / each
        raise NotFound("Uninstalled extension", name, all, field="name")

    def _clear(self, work: Path) -> list[str]:
        old = work / "old"
        back = []
        for each in sorted(old.iterdir()) if old.is_dir() else ():
            if not (self.folder / each.name).exists():
                os.replace(each, self.folder / each.name)
                back.append(each.name)
            else:
                self.done(work, each.name, keep=True)
        remove(work)
        return back


def carry(old: Path, new: Path, came: set[str]) -> None:
    """What the user's runs put into an extension's folder (models, settings) is in the new one too; files that came
    with the repository (`came`) are not. Linked where the disk can, so that nothing is copied nor missing.
    """
    for here, folders, files in os.walk(old):
        folders[:] = [name for name in folders if name not in PASSING]
        for name in files:
            path = Path(here, name)
            inside = path.relative_to(old)
            target = new / inside
            if inside.as_posix() in came or name == ".git" or target.exists() or target.is_symlink():
                continue
            with contextlib.suppress(FileExistsError, NotADirectoryError):  # the new one has a file there
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, target, follow_symlinks=False)
                except OSError:
                    shutil.copy2(path, target, follow_symlinks=False)


def remove(folder: Path) -> None:
    """A folder with all that is in it, read-only files (git's) too."""

    def writable(act: Callable[[str], object], path: str, error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(path, stat.S_IRWXU)
            act(path)

    shutil.rmtree(folder, onerror=writable)
