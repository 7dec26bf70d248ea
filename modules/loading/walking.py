"""Walking through a folder of models."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MARK = "model_index.json"
"""A folder with this file is one model in diffusers' layout."""


def walk(folder: Path, *, models: bool = False) -> Iterator[Path]:
    """Files below a folder, sub-folders too, links followed; a folder that cannot be read is passed over with a log
    line. What lies inside a model in diffusers' layout is not listed; models: the folder itself is.
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
        if MARK in files and root != str(folder):
            folders.clear()
            if models:
                yield Path(root)
            continue
        folders.sort()
        yield from (Path(root, name) for name in sorted(files))
