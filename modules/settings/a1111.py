"""Coming from A1111: what its folder holds, and taking it over. Nothing in that folder is changed; models stay there.

`look` says what there is; `Folders` are the model folders, which Easel searches besides its own (`keep_folders` writes
them down, `with_folders` adds them to `Paths` at the next start). Options come over by `usable`.
"""

from __future__ import annotations

import configparser
import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.core.errors import BadRequest
from modules.core.paths import FACES, UPSCALERS, Paths
from modules.core.store import write_atomically
from modules.settings.options import Options

log = logging.getLogger(__name__)

FILE = "extra-folders.json"
PLACES = {
    "checkpoints": "models/Stable-diffusion",
    "vae": "models/VAE",
    "loras": "models/Lora",
    "embeddings": "embeddings",
    "hypernetworks": "models/hypernetworks",
    **{f"upscalers/{name}": f"models/{name}" for name in UPSCALERS},
    **{f"faces/{name}": f"models/{name}" for name in FACES},
}
"""What a folder is for -> where A1111 has it."""
HERE_ONLY = ("sd_checkpoint_hash", "sd_model_checkpoint", "disabled_extensions", "disable_all_extensions")
"""Options that mean something in their own place alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What an A1111 folder holds. folders: what for -> folder with files; config, ui_config: their contents; styles:
    the file, if it is there; extensions: (name, where it came from).
    """

    root: Path
    folders: Mapping[str, Path]
    config: Mapping[str, Any]
    ui_config: Mapping[str, Any]
    styles: Path | None
    extensions: tuple[tuple[str, str], ...]


def look(root: Path) -> Found:
    """Read an A1111 folder. Raises BadRequest where it is none."""
    if not root.is_absolute() or not root.is_dir():
        raise BadRequest(f"{root} is no folder: write its whole path.", field="folder")
    if not any((root / sign).exists() for sign in ("webui.py", "config.json", "models/Stable-diffusion")):
        raise BadRequest(f"{root} does not look like a folder of A1111: there is no webui.py in it.", field="folder")
    folders = {kind: root / place for kind, place in PLACES.items() if _holds_files(root / place)}
    styles = root / "styles.csv"
    return Found(
        root=root,
        folders=folders,
        config=_table(root / "config.json"),
        ui_config=_table(root / "ui-config.json"),
        styles=styles if styles.is_file() else None,
        extensions=tuple(_extensions(root / "extensions")),
    )


def usable(config: Mapping[str, Any], options: Options) -> tuple[dict[str, Any], list[str]]:
    """Options that can come over and differ from what they are now -> (them, remarks on those that cannot)."""
    now, taken, remarks = options.snapshot(), {}, []
    for key, value in config.items():
        if key not in options.registry or key in HERE_ONLY or key in options.frozen:
            continue
        try:
            checked = options.registry.check(key, value)
        except BadRequest as error:
            remarks.append(f"{key}: {error}")
            continue
        if checked != now[key]:
            taken[key] = checked
    return taken, remarks


def keep_folders(file: Path, folders: Mapping[str, Path]) -> None:
    """Add them to those that are written down. Raises StoreError."""
    kept = {kind: [str(each) for each in paths] for kind, paths in extra(file).items()}
    for kind, folder in folders.items():
        kept[kind] = list(dict.fromkeys([*kept.get(kind, []), str(folder)]))
    write_atomically(file, json.dumps(kept, indent=4, ensure_ascii=False).encode("utf-8", "replace"))


def extra(file: Path) -> dict[str, tuple[Path, ...]]:
    """The folders that are written down; none where there is no file or it cannot be read (logged)."""
    found = _table(file)
    return {
        kind: tuple(map(Path, paths)) for kind, paths in found.items() if kind in PLACES and isinstance(paths, list)
    }


def with_folders(paths: Paths, folders: Mapping[str, tuple[Path, ...]]) -> Paths:
    """Paths that are searched in these folders too; those that are gone are left out."""
    there = {kind: tuple(each for each in more if each.is_dir()) for kind, more in folders.items()}
    plain = {kind: (*getattr(paths, kind), *more) for kind, more in there.items() if "/" not in kind}
    nested: dict[str, dict[str, tuple[Path, ...]]] = {
        "upscalers": dict(paths.upscalers),
        "faces": dict(paths.faces),
    }
    for kind, more in there.items():
        group, _, name = kind.partition("/")
        if name:
            nested[group][name] = (*nested[group].get(name, ()), *more)
    changes: dict[str, Any] = {**plain, **nested}
    return dataclasses.replace(paths, **changes)


def _holds_files(folder: Path) -> bool:
    """Whether there is more than A1111's own placeholders."""
    if not folder.is_dir():
        return False
    return any(entry.is_file() and not entry.name.startswith("Put ") for entry in folder.rglob("*"))


def _table(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read: %s", path, error)
        return {}
    return found if isinstance(found, dict) else {}


def _extensions(folder: Path) -> list[tuple[str, str]]:
    if not folder.is_dir():
        return []
    return [(entry.name, _remote(entry)) for entry in sorted(folder.iterdir()) if entry.is_dir()]


def _remote(folder: Path) -> str:
    """The address in a git folder's settings, "" where there is none."""
    settings = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        settings.read(folder / ".git" / "config", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return settings.get('remote "origin"', "url", fallback="")
