"""What an extension says of itself: extension.toml, or metadata.ini as A1111 reads it."""

from __future__ import annotations

import configparser
import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.core.errors import DamagedFile

TOML, INI = "extension.toml", "metadata.ini"
LISTS = ("requires", "before", "after", "requirements", "permissions")
TEXTS = ("name", "version", "description", "url")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """name: "" = its folder's; requires: extensions that must be loaded before it; before, after: extensions that it is
    loaded before and after, if they are there; requirements: Python packages as pip takes them; permissions: what it
    says it does beyond making pictures ("routes", "network", "files", …), None where it does not say;
    builtin: it is part of Easel.
    """

    name: str = ""
    version: str = ""
    description: str = ""
    url: str = ""
    requires: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    permissions: tuple[str, ...] | None = None
    builtin: bool = False


def read(folder: Path) -> Manifest:
    """The manifest of a folder, an empty one where it has none. Raises DamagedFile."""
    try:
        if (folder / TOML).is_file():
            return _of_toml(folder / TOML)
        if (folder / INI).is_file():
            return _of_ini(folder / INI)
    except OSError as error:
        raise DamagedFile(f"{error.filename} cannot be read: {error.strerror}.") from error
    return Manifest()


def _of_toml(path: Path) -> Manifest:
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} is no TOML: {error}") from error
    known = {*LISTS, *TEXTS, "builtin"}
    for key in values:
        if key not in known:
            raise DamagedFile(f'{path}: nobody reads "{key}". Known: {", ".join(sorted(known))}.')
    said: dict[str, Any] = {key: _text(path, values, key) for key in TEXTS}
    said |= {key: _list(path, values, key) for key in LISTS if key in values}
    return Manifest(**said, builtin=values.get("builtin") is True)


def _text(path: Path, values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise DamagedFile(f'{path}: "{key}" must be text.')
    return value.strip()


def _list(path: Path, values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = values.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise DamagedFile(f'{path}: "{key}" must be a list of texts.')
    return tuple(each.strip() for each in value)


def _of_ini(path: Path) -> Manifest:
    """[Extension] has the name, what it requires and (Easel's) its permissions; [scripts] what its scripts require, and
    their order.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} cannot be understood: {error}") from error

    def names(section: str, key: str) -> tuple[str, ...]:
        text = parser.get(section, key, fallback="")
        return tuple(name for name in text.replace(",", " ").lower().split() if name)

    return Manifest(
        name=parser.get("Extension", "Name", fallback="").strip().lower(),
        version=parser.get("Extension", "Version", fallback="").strip(),
        requires=tuple(dict.fromkeys((*names("Extension", "Requires"), *names("scripts", "Requires")))),
        before=names("scripts", "Before"),
        after=names("scripts", "After"),
        permissions=names("Extension", "Permissions") if parser.has_option("Extension", "Permissions") else None,
    )
