"""Tiny upscaler files with random weights, in the formats in which real ones are published."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.loading.upscale import networks

Weights = dict[str, Tensor]


def weights(architecture: str, *, seed: int = 0, **sizes: Any) -> Weights:
    """The state dict of a fresh network of spandrel's, its numbers drawn from the seed."""
    networks.library()
    module = importlib.import_module(f"spandrel.architectures.{architecture}")
    torch.manual_seed(seed)
    made: Weights = getattr(module, architecture)(**sizes).state_dict()
    return made


def esrgan() -> Weights:
    """ESRGAN of 2018 with numbered layers ("model.1.sub.0.RDB1.conv1.0.weight"), four times as large."""
    return weights("ESRGAN", num_filters=8, num_blocks=2)


def newer(old: Weights) -> Weights:
    """The same network under the names of the newer ESRGAN ("RRDB_trunk.0.RDB1.conv1.weight")."""
    return _renamed(old, blocks="RRDB_trunk.{}.RDB{}.conv{}", trunk="trunk_conv", up="upconv", last="HRconv")


def real(old: Weights) -> Weights:
    """The same network under the names of Real-ESRGAN ("body.0.rdb1.conv1.weight")."""
    return _renamed(old, blocks="body.{}.rdb{}.conv{}", trunk="conv_body", up="conv_up", last="conv_hr")


def _renamed(old: Weights, *, blocks: str, trunk: str, up: str, last: str) -> Weights:
    names = {"0": "conv_first", "3": f"{up}1", "6": f"{up}2", "8": last, "10": "conv_last"}

    def rename(name: str) -> str:
        inner = re.fullmatch(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(\w+)", name)
        if inner:
            return f"{blocks.format(*inner.groups()[:3])}.{inner[4]}"
        outer = re.fullmatch(r"model\.(\d+)\.(\w+)", name)
        if outer:
            return f"{names[outer[1]]}.{outer[2]}"
        return f"{trunk}.{name.rsplit('.', 1)[1]}"

    return {rename(name): tensor for name, tensor in old.items()}


def compact(scale: int = 4) -> Weights:
    """Real-ESRGAN's small network (SRVGG)."""
    return weights("Compact", num_feat=8, num_conv=3, upscale=scale)


def swinir() -> Weights:
    sizes = {"depths": [2], "embed_dim": 12, "num_heads": [2], "window_size": 8, "mlp_ratio": 2}
    return weights("SwinIR", upscale=2, upsampler="pixelshuffle", img_size=16, **sizes)


def dat() -> Weights:
    sizes = {"img_size": 16, "split_size": [4, 4], "depth": [2], "embed_dim": 16, "num_heads": [2]}
    return weights("DAT", upscale=2, expansion_factor=2, upsampler="pixelshuffle", **sizes)


def scunet() -> Weights:
    return weights("SCUNet", config=[1] * 7, dim=64)


def pth(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def safetensors(path: Path, content: Weights) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in content.items()}, path)
    return path


FORMATS: dict[str, Callable[[Path], Path]] = {
    "esrgan-old": lambda folder: pth(folder / "old.pth", esrgan()),
    "esrgan-new": lambda folder: pth(folder / "new.pth", newer(esrgan())),
    "real-esrgan": lambda folder: pth(folder / "real.pth", {"params_ema": real(esrgan())}),
    "real-esrgan-safetensors": lambda folder: safetensors(folder / "real.safetensors", real(esrgan())),
    "compact": lambda folder: pth(folder / "compact.pth", {"params": compact()}),
    "compact-2x": lambda folder: pth(folder / "compact2.pth", compact(2)),
    "swinir": lambda folder: pth(folder / "swinir.pth", {"params": swinir()}),
    "dat": lambda folder: pth(folder / "dat.pth", {"params": dat()}),
    "scunet": lambda folder: pth(folder / "scunet.pth", scunet()),
}
SCALES = {"compact-2x": 2, "swinir": 2, "dat": 2, "scunet": 1}
"""Their factors, where they are not 4."""
