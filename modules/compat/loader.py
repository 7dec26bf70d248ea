"""Loading a folder of A1111's style: preload.py, scripts/*.py at the top, style.css, javascript/, localizations/.

A folder that fails is caught with its name and traceback; the program goes on without it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import logging
import os
import subprocess
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.compat import brought, postprocessing, scripting

if TYPE_CHECKING:
    from modules.compat.room import Room

log = logging.getLogger(__name__)


@dataclasses.dataclass
class Loaded:
    """What became of a folder. error: one line, "" where all went well; traceback: the whole of it; scripts: files that
    were run; worked: how many of them to their end; classes: names of Script classes; javascript, css: files for the
    page; localizations: name -> file; undo: what takes its rows out of the program's tables.
    """

    name: str
    path: Path
    error: str = ""
    traceback: str = ""
    scripts: list[Path] = dataclasses.field(default_factory=list)
    worked: int = 0
    classes: list[str] = dataclasses.field(default_factory=list)
    javascript: list[Path] = dataclasses.field(default_factory=list)
    css: list[Path] = dataclasses.field(default_factory=list)
    localizations: dict[str, Path] = dataclasses.field(default_factory=dict)
    undo: list[Callable[[], None]] = dataclasses.field(default_factory=list)


def is_guest(folder: Path) -> bool:
    """Whether a folder looks like an extension of A1111's."""
    if (folder / "extension.py").is_file():
        return False
    marks = ("scripts", "javascript", "install.py", "preload.py", "style.css", "localizations")
    return any((folder / mark).exists() for mark in marks)


def preload(folder: Path, parser: argparse.ArgumentParser) -> str:
    """Let preload.py declare its flags -> "", or the traceback of its failure."""
    file = folder / "preload.py"
    if not file.is_file():
        return ""
    try:
        module = _run(file)
        if hasattr(module, "preload"):
            module.preload(parser)
    except (Exception, SystemExit):
        return traceback.format_exc()
    return ""


def arguments(folders: Sequence[Path], words: Sequence[str]) -> tuple[dict[str, Any], list[str], dict[str, str]]:
    """(values of the flags that preload.py files declare, words that are none of them, folder -> traceback)."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    failures = {folder.name: failed for folder in folders if (failed := preload(folder, parser))}
    try:
        namespace, rest = parser.parse_known_args(list(words))
    except SystemExit:
        namespace, rest = argparse.Namespace(), list(words)
    return vars(namespace), rest, failures


def install(folder: Path, *, root: Path, data: Path, constraints: Path | None = None, timeout: float = 1800) -> str:
    """Run install.py in a process with `launch` at hand -> "", or what it said when it failed."""
    file = folder / "install.py"
    if not file.is_file():
        return ""
    path = os.pathsep.join(part for part in (str(root), os.environ.get("PYTHONPATH", "")) if part)
    settings = {**os.environ, "PYTHONPATH": path}
    if constraints is not None:
        settings["PIP_CONSTRAINT"] = str(constraints)
    try:
        done = subprocess.run(
            [sys.executable, str(file)],
            cwd=folder,
            env=settings,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else f"{done.stdout}\n{done.stderr}".strip() or f"exit code {done.returncode}"


def load(room: Room, folder: Path) -> Loaded:
    """Run a folder's scripts and find its files. Never raises for what the folder does."""
    made = Loaded(name=folder.name, path=folder)
    room.loaded.append(made)
    made.javascript = [*_files(folder / "javascript", ".js"), *_files(folder / "javascript", ".mjs")]
    made.css = [folder / "style.css"] if (folder / "style.css").is_file() else []
    made.localizations = {file.stem: file for file in _files(folder / "localizations", ".json")}
    for file in _files(folder / "scripts", ".py"):
        made.scripts.append(file)
        try:
            with _at(room, folder):
                module = _run(file)
            made.classes += _register(module, file, folder)
            made.worked += 1
        except (Exception, SystemExit) as error:
            log.exception("%s: %s cannot be loaded.", folder.name, file.name)
            made.error = made.error or f"scripts/{file.name}: {type(error).__name__}: {error}{brought.advice(error)}"
            made.traceback += traceback.format_exc()
    return made


def _files(folder: Path, ending: str) -> list[Path]:
    """Files at the top of a folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ending and file.is_file())


@contextlib.contextmanager
def _at(room: Room, folder: Path) -> Iterator[None]:
    """The folder is basedir() and first on sys.path."""
    before, path = room.loading, list(sys.path)
    room.loading = folder
    sys.path = [str(folder), *sys.path]
    try:
        yield
    finally:
        # what an extension itself appended stays, as under A1111
        added = [each for each in sys.path if each not in path and each != str(folder)]
        sys.path, room.loading = [*path, *added], before


def _run(file: Path) -> types.ModuleType:
    """A file as a module that is named after it and is not among sys.modules."""
    spec = importlib.util.spec_from_file_location(file.name, str(file))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _register(module: types.ModuleType, file: Path, folder: Path) -> list[str]:
    """Remember the script classes in a module."""
    names = []
    for value in list(vars(module).values()):
        if not isinstance(value, type):
            continue
        if issubclass(value, scripting.Script) and value.__module__ != scripting.__name__:
            data = scripting.ScriptClassData(value, str(file), str(folder), module)
            scripting.scripts_data.append(data)
            names.append(value.__name__)
        elif issubclass(value, postprocessing.ScriptPostprocessing) and value.__module__ != postprocessing.__name__:
            data = scripting.ScriptClassData(value, str(file), str(folder), module)
            scripting.postprocessing_scripts_data.append(data)
            names.append(value.__name__)
    return names


def localization(room: Room, name: str) -> dict[str, str]:
    """The translations of this name that loaded folders bring, later ones winning."""
    found: dict[str, str] = {}
    for each in room.loaded:
        file = each.localizations.get(name)
        if file is None:
            continue
        try:
            found |= json.loads(file.read_text(encoding="utf8"))
        except (OSError, ValueError) as error:
            log.warning("%s: %s cannot be read: %s", each.name, file.name, error)
    return found
