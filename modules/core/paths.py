"""Where everything lies on the disk, in A1111's layout: made once by the composition root, read by everybody.

Making a `Paths` touches no file; `ensure` makes the folders that Easel writes to.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from modules.core.errors import EaselError
from modules.core.store import explain_disk

PathLike: TypeAlias = "str | os.PathLike[str]"

UPSCALERS = ("ESRGAN", "RealESRGAN", "BSRGAN", "DAT", "HAT", "ScuNET", "SwinIR")
FACES = ("GFPGAN", "Codeformer")
"""Folders below models/, with A1111's spelling."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paths:
    """All folders and files, absolute. Of a tuple every folder is searched, and the first is where new files belong.

    root: the repository; data: what the user's runs write (the same folder unless --data-dir is given); extensions:
    the user's, shipped_extensions: the repository's own (the same folder unless --data-dir is given); styles: files
    of prompt styles, the first is the one written to; upscalers, faces: by the name of their folder below models;
    results: pictures that a job made without saving them; inputs: pictures that jobs start from; unfinished: how far
    sampling is.
    """

    root: Path
    data: Path
    models: Path
    checkpoints: tuple[Path, ...]
    vae: tuple[Path, ...]
    text_encoders: tuple[Path, ...]
    loras: tuple[Path, ...]
    embeddings: tuple[Path, ...]
    hypernetworks: tuple[Path, ...]
    upscalers: Mapping[str, tuple[Path, ...]]
    faces: Mapping[str, tuple[Path, ...]]
    outputs: Path
    extensions: Path
    shipped_extensions: Path
    config: Path
    ui_config: Path
    styles: tuple[Path, ...]
    database: Path
    results: Path
    inputs: Path
    unfinished: Path

    @classmethod
    def make(
        cls,
        *,
        root: PathLike,
        data_dir: PathLike | None = None,
        models_dir: PathLike | None = None,
        ckpt_dir: PathLike | None = None,
        vae_dir: PathLike | None = None,
        lora_dir: PathLike | None = None,
        embeddings_dir: PathLike | None = None,
        hypernetwork_dir: PathLike | None = None,
        upscaler_dirs: Mapping[str, PathLike | None] = MappingProxyType({}),
        config: PathLike | None = None,
        ui_config: PathLike | None = None,
        styles: PathLike | Sequence[PathLike] | None = None,
    ) -> Paths:
        """The layout for these flags; None or "" means A1111's default. Relative paths start at the current folder.

        ckpt_dir and vae_dir are searched besides the folders under models; lora_dir, embeddings_dir and
        hypernetwork_dir take the place of theirs. models/LyCORIS, models/embeddings, models/diffusion_models and
        models/unet (transformers alone), models/text_encoders and models/CLIP are searched if they exist.
        """
        home = _absolute(root)
        data = _absolute(data_dir or home)
        models = _absolute(models_dir or data / "models")
        return cls(
            root=home,
            data=data,
            models=models,
            checkpoints=_folders(
                models / "Stable-diffusion", ckpt_dir, *map(_existing, (models / "diffusion_models", models / "unet"))
            ),
            vae=_folders(models / "VAE", vae_dir),
            text_encoders=_folders(
                models / "text_encoder", *map(_existing, (models / "text_encoders", models / "CLIP"))
            ),
            loras=_folders(lora_dir or models / "Lora", _existing(models / "LyCORIS")),
            embeddings=_folders(embeddings_dir or data / "embeddings", _existing(models / "embeddings")),
            hypernetworks=_folders(hypernetwork_dir or models / "hypernetworks"),
            upscalers={name: _folders(models / name, upscaler_dirs.get(name)) for name in UPSCALERS},
            faces={name: _folders(models / name, upscaler_dirs.get(name)) for name in FACES},
            outputs=data / "outputs",
            extensions=data / "extensions",
            shipped_extensions=home / "extensions",
            config=_absolute(config or data / "config.json"),
            ui_config=_absolute(ui_config or data / "ui-config.json"),
            styles=_folders(*([styles] if isinstance(styles, str | os.PathLike) else styles or [data / "styles.csv"])),
            database=data / "easel.sqlite",
            results=data / "cache" / "results",
            inputs=data / "cache" / "inputs",
            unfinished=data / "cache" / "unfinished",
        )

    def ensure(self) -> None:
        """Make the folders that Easel writes to, and the empty model folders of a fresh data folder.

        Raises `EaselError` naming the one that cannot be made or written. Folders outside the data folder that flags
        point to are the user's: they are read, not made, and may be read-only.
        """
        for folder in self._own():
            _make(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise EaselError(_refusal(f"The folder {folder} may not be written."))
        searched = (
            *self.checkpoints,
            *self.vae,
            *self.text_encoders,
            *self.loras,
            *self.embeddings,
            *self.hypernetworks,
            *itertools.chain(*self.upscalers.values(), *self.faces.values()),
        )
        for folder in searched:
            if self.data in folder.parents:
                _make(folder)

    def _own(self) -> tuple[Path, ...]:
        made = (self.data, self.outputs, self.results, self.inputs, self.extensions)
        return (*made, self.config.parent, self.ui_config.parent)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EaselError(_refusal(explain_disk(error, f"The folder {folder} cannot be made"))) from error


def _absolute(path: PathLike) -> Path:
    """Without `..` and `~`, but with symbolic links as the user wrote them."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def _folders(*paths: PathLike | None) -> tuple[Path, ...]:
    """The given ones, absolute, in order, each once."""
    return tuple(dict.fromkeys(_absolute(path) for path in paths if path))


def _existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def _refusal(reason: str) -> str:
    return f"{reason} Choose a folder of your own with --data-dir, or change its permissions."
