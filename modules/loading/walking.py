"""Walking through a folder of models."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

log = logging.getLogger(__name__)

MARK = "model_index.json"
"""A folder with this file is one model in diffusers' layout."""


Asked: TypeAlias = Callable[[], bool]
"""Whether folders are listed whose names begin with a dot: A1111's option `list_hidden_files`."""


def always() -> bool:
    """The option's default."""
    return True


def walk(folder: Path, *, models: bool = False, hidden: bool = True) -> Iterator[Path]:
    """Files below a folder, sub-folders too, links followed; a folder that cannot be read is passed over with a log
    line. What lies inside a model in diffusers' layout is not listed; models: the folder itself is. hidden: sub-folders
    whose names begin with a dot are looked into too.
    """
    visited: set[str] = set()

    def report(error: OSError) -> None:
        if error.filename != str(folder):
            log.warning("Cannot read %s: %s", error.filename, error.strerror)

    for root, folders, files in os.walk(folder, followlinks=True, onerror=report):
        real = os.path.realpath(root)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        if not hidden:
            folders[:] = [name for name in folders if not name.startswith(".")]
        if MARK in files and root != str(folder):
            folders.clear()
            if models:
                yield Path(root)
            continue
        folders.sort()
        yield from (Path(root, name) for name in sorted(files))
