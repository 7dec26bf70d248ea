"""`sd_models`, `sd_vae` and file facts: the library's checkpoints and VAEs under A1111's names."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

from modules.compat import room as rooms
from modules.core.errors import EaselError

checkpoint_aliases: dict[str, Any] = {}
checkpoints_loaded: collections.OrderedDict[Any, Any] = collections.OrderedDict()


def model_hash(filename: str) -> str:
    """The short hash of old: 64 KiB from the file's second MiB."""
    try:
        with open(filename, "rb") as file:
            file.seek(0x100000)
            return hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
    except FileNotFoundError:
        return "NOFILE"


class CheckpointInfo:
    """One checkpoint file, from the library's entry or from a path."""

    def __init__(self, source: Any) -> None:
        entry = source if hasattr(source, "short_name") else _entry_of(str(source))
        self._entry = entry
        self.filename = str(entry.path)
        self.name = entry.name
        self.name_for_extra = entry.short_name
        self.model_name = entry.model_name
        self.is_safetensors = self.filename.lower().endswith(".safetensors")
        self.sha256, self.shorthash = entry.sha256, entry.hash
        self.title = entry.title
        self.short_title = f"{self.name_for_extra} [{self.shorthash}]" if self.shorthash else self.name_for_extra

    @property
    def hash(self) -> str:
        return model_hash(self.filename)

    @property
    def ids(self) -> list[str]:
        found = [self.hash, self.model_name, self.title, self.name, self.name_for_extra, f"{self.name} [{self.hash}]"]
        return [*found, *(each for each in (self.shorthash, self.sha256) if each)]

    @property
    def metadata(self) -> dict[str, Any]:
        with contextlib.suppress(EaselError, OSError):
            return read_metadata_from_safetensors(self.filename)
        return {}

    def register(self) -> None:
        """The library knows files by itself."""

    def calculate_shorthash(self) -> str | None:
        entry = rooms.current().app.library.hashed(self._entry)
        self._entry, self.sha256, self.shorthash, self.title = entry, entry.sha256, entry.hash, entry.title
        return self.shorthash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckpointInfo) and other.filename == self.filename

    def __hash__(self) -> int:
        return hash(self.filename)

    def __str__(self) -> str:
        return self.title


def _entry_of(filename: str) -> Any:
    from modules.loading.library import Checkpoint

    path = Path(filename)
    library = rooms.current().app.library
    known = next((each for each in library.checkpoints() if each.path == path), None)
    return known or Checkpoint(path=path, name=path.name)


def all_infos() -> dict[str, CheckpointInfo]:
    """`checkpoints_list`: title -> checkpoint."""
    infos = [CheckpointInfo(entry) for entry in rooms.current().app.library.checkpoints()]
    return {info.title: info for info in infos}


def list_models() -> None:
    rooms.current().app.library.refresh()


setup_model = list_models


def checkpoint_tiles(use_short: bool = False) -> list[str]:
    return [info.short_title if use_short else info.name for info in all_infos().values()]


def list_titles(use_short: bool = False) -> list[str]:
    return [info.short_title if use_short else info.title for info in all_infos().values()]


def get_closet_checkpoint_match(search_string: str | None) -> CheckpointInfo | None:
    """By any of its names, else by a part of its title."""
    if not search_string:
        return None
    with contextlib.suppress(EaselError):
        return CheckpointInfo(rooms.current().app.library.find(search_string))
    wanted = search_string.split(" [")[0]
    found = [info for info in all_infos().values() if wanted in info.title]
    return min(found, key=lambda info: len(info.title)) if found else None


get_closest_checkpoint_match = get_closet_checkpoint_match


def select_checkpoint() -> CheckpointInfo:
    """The chosen one. Raises FileNotFoundError where there is none."""
    room = rooms.current()
    try:
        return CheckpointInfo(room.app.library.chosen(room.opts.sd_model_checkpoint))
    except EaselError as error:
        raise FileNotFoundError(str(error)) from error


def load_model(checkpoint_info: Any = None, already_loaded_state_dict: Any = None) -> Any:
    """Choose a checkpoint; its parts are loaded when they are needed."""
    return reload_model_weights(info=checkpoint_info)


def reload_model_weights(sd_model: Any = None, info: Any = None, forced_reload: bool = False) -> Any:
    """Choose a checkpoint, for this job or for good -> `shared.sd_model`."""
    room = rooms.current()
    if info is not None:
        found = info if hasattr(info, "name") else get_closet_checkpoint_match(str(info))
        if found is None:
            raise RuntimeError(f"Unknown checkpoint: {info}")
        room.opts.set("sd_model_checkpoint", found.name)
    return model_data.get_sd_model()


def unload_model_weights(sd_model: Any = None, info: Any = None) -> Any:
    """Forget the loaded models."""
    room = rooms.current()
    with room.floor:
        room.studio.shelf.clear()
    room.facades.clear()
    return sd_model


send_model_to_cpu = unload_model_weights


def read_state_dict(checkpoint_file: str, print_global_state: bool = False, map_location: Any = None) -> Any:
    """All tensors of a file by name; code inside a file is never run. Raises DamagedFile."""
    from modules.loading import opening

    found = dict(opening.tensors(Path(checkpoint_file)))
    return {key: each.to(map_location) for key, each in found.items()} if map_location else found


load_torch_file = read_state_dict


def read_metadata_from_safetensors(filename: str) -> dict[str, Any]:
    """The notes in a file's header; JSON in them is read. Raises DamagedFile."""
    import json

    from modules.loading import opening

    found: dict[str, Any] = {}
    for key, value in dict(opening.header(Path(filename)).metadata).items():
        found[key] = value
        if isinstance(value, str) and value.startswith("{"):
            with contextlib.suppress(ValueError):
                found[key] = json.loads(value)
    return found


def get_empty_cond(sd_model: Any) -> Any:
    said = sd_model.get_learned_conditioning([""])
    return said["crossattn"] if isinstance(said, dict) else said


def apply_token_merging(sd_model: Any, token_merging_ratio: float) -> None:
    """Easel has no token merging."""


class SdModelData:
    """`model_data`: the model in use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.was_loaded_at_least_once = True

    @property
    def sd_model(self) -> Any:
        return self.get_sd_model()

    @sd_model.setter
    def sd_model(self, value: Any) -> None:
        """Which model is used is decided by settings and requests."""

    @property
    def loaded_sd_models(self) -> list[Any]:
        model = self.get_sd_model()
        return [model] if model else []

    def get_sd_model(self) -> Any:
        from modules.compat import model

        return model.now(rooms.current())

    def set_sd_model(self, v: Any, already_loaded: bool = False) -> None:
        """See `sd_model`."""


model_data = SdModelData()


class SkipWritingToConfig:
    """A1111's way to choose a checkpoint without keeping it; jobs here keep nothing."""

    skip = False
    previous: Any = None

    def __enter__(self) -> None:
        self.previous, SkipWritingToConfig.skip = SkipWritingToConfig.skip, True

    def __exit__(self, *_: Any) -> None:
        SkipWritingToConfig.skip = self.previous


# --- VAEs


def vae_dict() -> dict[str, str]:
    """Name -> path."""
    return {file.name: str(file.path) for file in rooms.current().app.library.vaes.all()}


def refresh_vae_list() -> None:
    rooms.current().app.library.vaes.refresh()


def sd_vae_items() -> list[str]:
    return ["Automatic", "None", *vae_dict()]


def load_vae_dict(filename: str, map_location: Any = "cpu") -> dict[str, Any]:
    """The tensors of a VAE file, without those of its training."""
    found = read_state_dict(filename, map_location=map_location)
    return {key: each for key, each in found.items() if key[:4] != "loss" and key not in ("model_ema.decay",)}


def find_vae_near_checkpoint(checkpoint_file: str) -> str | None:
    stem = os.path.splitext(checkpoint_file)[0]
    for ending in (".vae.safetensors", ".vae.pt", ".vae.ckpt"):
        if os.path.isfile(stem + ending):
            return stem + ending
    return None


def reload_vae_weights(sd_model: Any = None, vae_file: Any = None) -> None:
    """Choose a VAE, for this job or for good."""
    if isinstance(vae_file, str):
        rooms.current().opts.set("sd_vae", os.path.basename(vae_file))


# --- hashes


def calculate_sha256(filename: str) -> str:
    digest = hashlib.sha256()
    with open(filename, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256(filename: str, title: str = "", use_addnet_hash: bool = False) -> str | None:
    """The file's digest, worked out once for a file that does not change."""
    from modules.compat.caching import cached_data_for_file

    made = cached_data_for_file("hashes", title or filename, filename, lambda: {"sha256": calculate_sha256(filename)})
    return None if made is None else str(made["sha256"])


def sha256_from_cache(filename: str, title: str = "", use_addnet_hash: bool = False) -> str | None:
    from modules.compat.caching import known

    made = known("hashes", title or filename, filename)
    return None if made is None else str(made["sha256"])


def __getattr__(name: str) -> Any:
    if name in ("checkpoints_list", "checkpoint_alisases"):
        return all_infos()
    if name in ("model_path", "model_dir"):
        room = rooms.current()
        return str(room.app.paths.models / "Stable-diffusion") if name == "model_path" else "Stable-diffusion"
    if name == "script_callbacks":
        from modules.compat import callbacks

        return callbacks
    raise AttributeError(f"modules.sd_models has no {name}")
