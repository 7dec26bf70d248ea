"""What is known of a model file beyond its weights: its metadata, and notes, description and preview beside it.

A1111's files: NAME.json (notes: "description", "notes", "vae", "activation text" …), NAME.txt (a description),
NAME.png or NAME.preview.png. Used by the page's cards and by the choice of a VAE. No torch.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.core.errors import BadRequest, DamagedFile
from modules.core.store import write_atomically
from modules.core.types import JsonObject
from modules.loading import opening

PICTURES = ("png", "jpg", "jpeg", "webp", "gif")
"""Endings of previews, in the order in which they are looked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """metadata: of a .safetensors file, tables in it read; notes: the user's; changed: unix seconds; size: bytes."""

    path: Path
    size: int
    changed: float
    metadata: JsonObject
    notes: JsonObject
    description: str
    preview: Path | None


def read(path: Path) -> Card:
    """The card of a model file or of a folder in diffusers' layout. Raises FileNotFoundError."""
    facts = path.stat()
    notes = read_notes(path)
    return Card(
        path=path,
        size=sum(each.stat().st_size for each in path.rglob("*") if each.is_file()) if path.is_dir() else facts.st_size,
        changed=facts.st_mtime,
        metadata=_metadata(path),
        notes=notes,
        description=str(notes.get("description") or _text(beside(path, ".txt"))),
        preview=preview(path),
    )


def beside(path: Path, ending: str) -> Path:
    """The file that goes with a model: its name with another ending; a folder's name may have dots of its own."""
    return path.with_name((path.name if path.is_dir() else path.stem) + ending)


def read_notes(path: Path) -> JsonObject:
    """The user's notes on a model; {} where there are none, or none that can be read."""
    try:
        notes = json.loads(beside(path, ".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def write_notes(path: Path, changes: Mapping[str, Any]) -> JsonObject:
    """Change some notes, None removes one; others stay -> all of them. Raises BadRequest, StoreError."""
    notes = {key: value for key, value in {**read_notes(path), **changes}.items() if value is not None}
    try:
        text = json.dumps(notes, indent=4, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"notes: cannot be written as JSON ({error}).", field="notes") from error
    write_atomically(beside(path, ".json"), text.encode("utf-8", "replace"))
    return notes


def _metadata(path: Path) -> JsonObject:
    try:
        told = opening.header(path).metadata
    except (DamagedFile, OSError):
        return {}
    return {key: _parsed(value) for key, value in told.items()}


def _parsed(value: str) -> Any:
    """Trainers write tables as text."""
    if not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def preview(path: Path) -> Path | None:
    """The picture that lies beside a model file, None where there is none."""
    candidates = (beside(path, f"{mark}.{ending}") for ending in PICTURES for mark in ("", ".preview"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)
