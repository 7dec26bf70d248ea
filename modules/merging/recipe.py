"""What a merged file says of its origin: A1111's `sd_merge_recipe` and `sd_merge_models`, its parents' metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.loading.library import Checkpoint
from modules.merging.request import Merge


def metadata(
    request: Merge, checkpoints: Sequence[Checkpoint], told: Sequence[Mapping[str, str]], sort: str
) -> dict[str, str]:
    """The result's metadata, {} if none are wanted. checkpoints: A, B, C with their hashes; told: what their files say;
    sort: what the result is ("inpainting" …).
    """
    if not request.save_metadata:
        return {}
    found: dict[str, Any] = {}
    if request.copy_metadata_fields:
        for each in told:
            found.update(each)
    found.update(request.metadata)
    found["format"] = "pt"
    if request.add_merge_recipe:
        found["sd_merge_recipe"] = _recipe(request, checkpoints, sort)
        found["sd_merge_models"] = _models(checkpoints, told)
    return {key: each if isinstance(each, str) else json.dumps(each) for key, each in found.items()}


def _recipe(request: Merge, checkpoints: Sequence[Checkpoint], sort: str) -> dict[str, Any]:
    hashes = [checkpoint.sha256 for checkpoint in checkpoints] + [None, None]
    own = {"block_weights": list(request.block_weights), "loras": [list(each) for each in request.loras]}
    return {
        "type": "webui",
        "primary_model_hash": hashes[0],
        "secondary_model_hash": hashes[1],
        "tertiary_model_hash": hashes[2],
        "interp_method": request.interp_method,
        "multiplier": request.multiplier,
        "save_as_half": request.save_as_half,
        "custom_name": request.custom_name,
        "config_source": request.config_source,
        "bake_in_vae": request.bake_in_vae,
        "discard_weights": request.discard_weights,
        "is_inpainting": sort == "inpainting",
        "is_instruct_pix2pix": sort == "instruct-pix2pix",
        **{key: value for key, value in own.items() if value},
    }


def _models(checkpoints: Sequence[Checkpoint], told: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Every ancestor by its SHA-256, those of merged parents too."""
    found: dict[str, Any] = {}
    for checkpoint, facts in zip(checkpoints, told, strict=True):
        found[checkpoint.sha256 or checkpoint.name] = {
            "name": checkpoint.name,
            "legacy_hash": legacy_hash(checkpoint.path),
            "sd_merge_recipe": _table(facts.get("sd_merge_recipe")),
        }
        found.update(_table(facts.get("sd_merge_models")) or {})
    return found


def _table(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def legacy_hash(path: Path) -> str | None:
    """A1111's first hash of a model: 8 digits from 64 KB of the file; None for a folder."""
    if path.is_dir():
        return None
    with path.open("rb") as file:
        file.seek(0x100000)
        return hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
