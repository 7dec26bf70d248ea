"""Languages of the page: files in A1111's format, {"English text": "translation"}, in folders `localizations`.

Easel's own lie in the repository, a user's in the data folder (which win). Read anew at every question.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.core.paths import Paths
    from modules.web.additions import Translation

log = logging.getLogger(__name__)

NONE = "None"


def files(paths: Paths) -> dict[str, Path]:
    """Name -> file."""
    folders = dict.fromkeys((paths.root / "localizations", paths.data / "localizations"))
    return {file.stem: file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.json"))}


def names(paths: Paths, added: Sequence[Translation] = ()) -> list[str]:
    """What the menu offers."""
    return [NONE, *dict.fromkeys([*files(paths), *(each.name for each in added)])]


def texts(paths: Paths, name: str, added: Sequence[Translation] = ()) -> Mapping[str, str]:
    """The texts of a language; none for "None", for one that is not there, and for an unreadable file (logged). What
    extensions add stands behind the file's own.
    """
    extra = {text: told for each in added if each.name == name for text, told in each.texts().items()}
    return {**extra, **_of_file(paths, name)}


def _of_file(paths: Paths, name: str) -> Mapping[str, str]:
    file = files(paths).get(name)
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        log.warning("The localization %s cannot be read: %s", file, error)
        return {}
    return {str(text): str(told) for text, told in found.items()} if isinstance(found, dict) else {}
