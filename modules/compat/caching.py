"""`cache`: facts about files that are costly to find, kept from start to start below cache/extensions."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

from modules.compat import room as rooms
from modules.core.store import write_atomically

_lock = threading.RLock()
_open: dict[str, Kept] = {}


class Kept(dict[str, Any]):
    """A dictionary in a JSON file, which is written at every change."""

    def __init__(self, path: Any) -> None:
        self._path = path
        try:
            super().__init__(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            super().__init__()

    def _write(self) -> None:
        with _lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps(dict(self), default=str).encode())

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._write()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._write()

    def pop(self, *arguments: Any) -> Any:
        found = super().pop(*arguments)
        self._write()
        return found


def cache(subsection: str) -> Kept:
    """The kept facts of one kind."""
    folder = rooms.current().app.paths.data / "cache" / "extensions"
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in subsection)
    path = folder / f"{name}.json"
    with _lock:
        if str(path) not in _open:
            _open[str(path)] = Kept(path)
        return _open[str(path)]


def known(subsection: str, title: str, filename: str) -> Any:
    """What is kept of a file that has not changed since, or None."""
    entry: Any = cache(subsection).get(title) or {}
    try:
        fresh = entry.get("mtime") == os.path.getmtime(filename)
    except OSError:
        return None
    return entry.get("value") if fresh else None


def cached_data_for_file(subsection: str, title: str, filename: str, func: Callable[[], Any]) -> Any:
    """What is kept of a file, else what func finds (None is not kept)."""
    found = known(subsection, title, filename)
    if found is not None:
        return found
    value = func()
    if value is not None:
        cache(subsection)[title] = {"mtime": os.path.getmtime(filename), "value": value}
    return value


def dump_cache() -> None:
    """Everything is written when it is set."""
