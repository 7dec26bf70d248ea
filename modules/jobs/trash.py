"""Deleting pictures so that they can be had back: files move to a folder, the history says where from.

Called by the web layer. A text file of the same name beside a picture goes with it.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from modules.core.errors import EaselError, NotFound
from modules.core.store import StoreError, explain_disk
from modules.jobs.history import History, Picture, Search


class Trash:
    """A folder of deleted pictures. Every method raises `NotFound` for an unknown number, `StoreError` for the disk."""

    def __init__(self, history: History, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._history = history
        self._folder = folder
        self._now = now

    def put(self, number: int) -> Picture:
        """Move a picture to the trash. One whose file is gone is there too; it cannot be had back."""
        picture = self._history.get(number)
        if picture.trashed is None:
            path = Path(picture.path)
            place = self._folder / f"{number}{path.suffix}"
            self._history.put_away(number, str(place), self._now())  # first: a kill in between leaves a way back
            try:
                _move_both(path, place)
            except StoreError:
                self._history.put_back(number, str(path))
                raise
        return self._history.get(number)

    def restore(self, number: int) -> Picture:
        """Move a picture back to where it was; where another file has its name now, a number is added."""
        picture = self._history.get(number)
        if picture.trashed is None or picture.trash is None:
            return picture
        place, path = Path(picture.trash), Path(picture.path)
        if place.exists():
            path = _free(path)
            _move_both(place, path)
        elif not path.exists():
            raise EaselError(f"The file {path} was gone when it was moved to the trash: it cannot be had back.")
        self._history.put_back(number, str(path))
        return self._history.get(number)

    def destroy(self, number: int) -> None:
        """Delete a picture in the trash for good, file and entry. Raises `NotFound` when it is not in the trash."""
        picture = self._history.get(number)
        if picture.trashed is None or picture.trash is None:
            raise NotFound("Picture", str(number), hint="Only pictures in the trash can be deleted for good.")
        for file in _both(Path(picture.trash)):
            _gone(file)
        self._history.forget(number)

    def empty(self) -> int:
        """Delete everything in the trash for good -> how many pictures there were."""
        found = self._history.find(Search(trashed=True, limit=-1))
        for picture in found:
            self.destroy(picture.number)
        return len(found)


def _both(path: Path) -> tuple[Path, Path]:
    return path, path.with_suffix(".txt")


def _move_both(path: Path, place: Path) -> None:
    """The picture and its text, as far as they are there."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for source, target in zip(_both(path), _both(place), strict=True):
            if source.is_file() and source != target:
                _move(source, target)
    except OSError as error:
        raise StoreError(explain_disk(error, f"{path} could not be moved to {place.parent}")) from error


def _move(source: Path, target: Path) -> None:
    """By a rename; to another disk by a whole copy under another name first."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copied = target.with_name(f".{target.name}.tmp")
        shutil.copy2(source, copied)
        os.replace(copied, target)
        source.unlink()


def _free(path: Path) -> Path:
    """The path, or the same with the first number that no file has."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def _gone(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(explain_disk(error, f"{file} could not be deleted")) from error
