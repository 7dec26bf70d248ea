"""Files of wildcards: a text file's lines, without empty ones and comments (`#`), found by name or by pattern."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path


class Files:
    """Those in some folders, the first folder's winning. Read anew when they have changed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._read: dict[Path, tuple[int, list[str]]] = {}

    def names(self) -> list[str]:
        """Every name, with "/" between its folders."""
        return sorted(self._paths())

    def lines(self, name: str) -> list[str]:
        """Of the file of this name in any case, or of all that a pattern with "*" fits; none where there is none."""
        wanted = name.casefold().replace("\\", "/").strip("/")
        return [line for known, path in self._paths().items() if _fits(known, wanted) for line in self._of(path)]

    def _paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._folders:
            for path in sorted(folder.rglob("*.txt")) if folder.is_dir() else ():
                found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
        return found

    def _of(self, path: Path) -> list[str]:
        try:
            changed = path.stat().st_mtime_ns
            known = self._read.get(path)
            if known is None or known[0] != changed:
                rows = (line.split("#", 1)[0].strip() for line in path.read_text("utf-8-sig", "replace").splitlines())
                known = self._read[path] = (changed, [row for row in rows if row])
        except OSError:
            return []
        return known[1]


def _fits(name: str, wanted: str) -> bool:
    folded = name.casefold()
    return fnmatch.fnmatchcase(folded, wanted) if "*" in wanted else folded == wanted
