"""Opens the room: A1111's module names resolve from here on, extensions are loaded, their hooks are driven.

The composition root calls `install`, then `load` before the page is built, and `page.started` when it is.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import modules
from modules.compat import launching, loader, postprocessing, rows, scripting, texts, xyz
from modules.compat import room as rooms
from modules.compat.loader import Loaded
from modules.compat.original import finder
from modules.compat.room import Room
from modules.core.store import write_atomically

log = logging.getLogger(__name__)

NAMES = str(Path(__file__).resolve().parent / "names")


def install(app: Any) -> Room:
    """Make A1111's names importable: `from modules import shared`, `import launch`. One program at a time."""
    room = Room(app)
    rooms.enter(room)
    if NAMES not in modules.__path__:
        modules.__path__.append(NAMES)
    before = sys.modules.get("launch")
    sys.modules["launch"] = launching.facade()

    def put_back() -> None:
        sys.modules.pop("launch", None)
        if before is not None:
            sys.modules["launch"] = before

    room.undo += [put_back, finder.install(room.of_guest)]
    xyz.install(room)
    return room


PRESENT = (
    *("shared", "scripts", "script_callbacks", "processing", "images", "devices", "sd_models", "sd_vae", "sd_samplers"),
    *("ui", "ui_components", "extra_networks", "prompt_parser", "infotext_utils", "call_queue", "errors", "paths"),
    *("hashes", "sd_hijack", "options", "generation_parameters_copypaste"),
)
"""Modules that A1111 itself has imported before any extension: some say `modules.scripts` and import only `modules`."""


def settle(room: Room) -> None:
    """What A1111 has done before an extension is loaded: its modules are imported, its two files are written."""
    from modules.compat import gradio3

    gradio3.settle()  # some take Gradio 3's names apart while they load
    for name in PRESENT:
        importlib.import_module(f"modules.{name}")
    for file in (room.app.paths.ui_config, room.app.paths.config):
        if not file.exists():
            write_atomically(file, b"{}")


def load(room: Room, folders: Sequence[Path]) -> list[Loaded]:
    """Run these folders' scripts and join them with the program -> what became of each. Call once, before the page."""
    settle(room)
    made = [loader.load(room, folder) for folder in folders]
    join(room, made)
    return made


def join(room: Room, made: Sequence[Loaded]) -> None:
    """Settings, scripts and hooks of these folders become the program's."""
    declare(room)
    if not any(one.scripts for one in made):
        return
    for one in made:
        for runner in (room.txt2img, room.img2img):
            one.undo += rows.install(room, runner, runner.adopt(str(one.path)))
        one.undo += postprocessing.install(room, str(one.path))
    declare(room)  # some register while their scripts are made
    if not room.listening:
        from modules.compat.pipeline import Pipeline

        room.listening = True
        room.undo += Pipeline(room).listen(room.studio.moments)


def declare(room: Room) -> None:
    """Call those of on_ui_settings that were not called yet."""
    for each in room.callbacks.of("ui_settings"):
        if id(each) not in room.declared:
            room.declared[id(each)] = each
            with room.owning(each.script):
                room.callbacks.one("ui_settings", each)


def uninstall(room: Room) -> None:
    """Take everything out again: rows, listeners, module names."""
    for kind in ("before_reload", "script_unloaded"):
        room.callbacks.call(kind)
    for back in (*reversed(room.undo), *(undo for each in room.loaded for undo in each.undo)):
        back()
    room.undo.clear()
    scripting.scripts_data.clear()
    scripting.postprocessing_scripts_data.clear()
    texts.reset()
    if NAMES in modules.__path__:
        modules.__path__.remove(NAMES)
    stale = [name for name in list(sys.modules) if name.startswith("modules.") and _is_guest(name)]
    for name in stale:
        del sys.modules[name]
        top = name.split(".")[1]
        if name.count(".") == 1 and top in vars(modules):
            delattr(modules, top)
    rooms.enter(None)


def _is_guest(name: str) -> bool:
    """Whether a module is one of `names/`, under its own name or as another of compat, or has facts of the room."""
    if name.startswith("modules.compat."):
        return name == "modules.compat.places"
    top = name.split(".")[1]
    return (Path(NAMES) / f"{top}.py").exists() or (Path(NAMES) / top).is_dir()
