"""SHA-256 of model files, worked out at most once for a path, size and time; kept in the database."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modules.core.store import Store

_MIGRATIONS = (
    """CREATE TABLE hashes (
        path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, sha256 TEXT NOT NULL)""",
)


class Hashes:
    """Safe to use from any thread. enabled: False (--no-hashing) tells only what is known already."""

    def __init__(self, store: Store, *, enabled: bool = True) -> None:
        self._store = store
        self._enabled = enabled
        store.migrate("hashes", _MIGRATIONS)

    def known(self) -> dict[tuple[str, int, int], str]:
        """All that are kept: (path, size, mtime in ns) -> SHA-256 in hex."""
        rows = self._store.read("SELECT * FROM hashes")
        return {(row["path"], row["size"], row["mtime"]): row["sha256"] for row in rows}

    def of(self, path: Path, *, size: int, mtime: int) -> str | None:
        """The SHA-256 of a file with these facts, or of a folder: that of its files' names and hashes, in order."""
        key = (str(path), size, mtime)
        query = "SELECT sha256 FROM hashes WHERE path = ? AND size = ? AND mtime = ?"
        for row in self._store.read(query, key):
            return str(row["sha256"])
        if not self._enabled:
            return None
        sha256 = _of_folder(path) if path.is_dir() else digest(path)
        self._store.write(
            "INSERT OR REPLACE INTO hashes (path, size, mtime, sha256) VALUES (?, ?, ?, ?)", (*key, sha256)
        )
        return sha256


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_folder(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder).as_posix()}\0{digest(path)}\n".encode())
    return total.hexdigest()
