"""Tiny autoencoders (TAESD and kin): a picture from latents in a fraction of the time, for previews and, if the user
says so, for the result.

Files in the original layout, from models/VAE-taesd: `taesd_decoder.safetensors` or `.pth`, `taesd_encoder…`, with other
beginnings for other families (`Latent.tiny`), or both in one, as `taef2.safetensors` and `taew2_1.pth` are published. A
decoder that carries a checkpoint's own name wins for that checkpoint.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from modules.core.errors import DamagedFile
from modules.loading import opening, tiny_layers
from modules.loading.family import Family
from modules.loading.tiling import tile

log = logging.getLogger(__name__)

ENDINGS = (".safetensors", ".pth", ".pt")


class TinyFiles:
    """The tiny autoencoders of a folder. The last one of each kind stays loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.decoder = functools.lru_cache(maxsize=1)(decoder)
        self.encoder = functools.lru_cache(maxsize=1)(encoder)

    def find(self, kind: str, family: Family, checkpoint: str) -> Path | None:
        """kind: "decoder" or "encoder"; checkpoint: its name without ending. The file to use, or None."""
        tiny = family.latent.tiny
        names = (f"{checkpoint}_{kind}", f"{tiny}_{kind}" if tiny else "", tiny)
        candidates = (self.folder / f"{name}{ending}" for name in names if name for ending in ENDINGS)
        return next((path for path in candidates if path.is_file()), None)

    def decode_with(
        self, family: Family, checkpoint: str, device: torch.device, *, seamless: bool = False
    ) -> Callable[[Tensor], Tensor] | None:
        """Latent (C, H, W) -> pixels (3, 8H, 8W) in 0..1; None where there is no file, or a damaged one (logged).

        seamless: opposite borders continue each other.
        """
        return self._with("decoder", family, checkpoint, device, seamless)

    def encode_with(
        self, family: Family, checkpoint: str, device: torch.device, *, seamless: bool = False
    ) -> Callable[[Tensor], Tensor] | None:
        """Pixels (3, H, W) in 0..1 -> latent (C, H/8, W/8); None where there is no file, or a damaged one (logged)."""
        return self._with("encoder", family, checkpoint, device, seamless)

    def wanted(self, kind: str, family: Family) -> str:
        """What to put where, in words."""
        name = family.latent.tiny or "<checkpoint>"
        return f"Put {name}_{kind}.safetensors into {self.folder}."

    def _with(
        self, kind: str, family: Family, checkpoint: str, device: torch.device, seamless: bool
    ) -> Callable[[Tensor], Tensor] | None:
        path = self.find(kind, family, checkpoint)
        if path is None:
            return None
        try:
            load = self.decoder if kind == "decoder" else self.encoder
            network = load(path, path.stat().st_mtime_ns, family.latent.channels)
        except DamagedFile as error:
            log.warning("%s", error)
            return None
        network.to(device)

        def run(given: Tensor) -> Tensor:
            tile(network, seamless)  # one network for all jobs
            made: Tensor = network(given.to(device, torch.float32).unsqueeze(0))[0]
            return made.clamp(0, 1) if kind == "decoder" else made

        return run


def decoder(path: Path, _mtime: int, channels: int) -> nn.Module:
    """(1, C, H, W) -> (1, 3, 8H, 8W), about 0..1. Raises DamagedFile."""
    return tiny_layers.network(_layers(path, "decoder", first=1), path, widths=(channels, 3), decodes=True)


def encoder(path: Path, _mtime: int, channels: int) -> nn.Module:
    """(1, 3, H, W) in 0..1 -> (1, C, H/8, W/8). Raises DamagedFile."""
    return tiny_layers.network(_layers(path, "encoder", first=0), path, widths=(3, channels), decodes=False)


def _layers(path: Path, kind: str, *, first: int) -> dict[int, dict[str, Tensor]]:
    """Place -> the layer's tensors (float32), as the original counts: "3.conv.0.weight", where both are in one file
    "decoder.3.conv.0.weight". diffusers' names begin with "layers." or "decoder.layers." and count the first layer that
    has numbers as 0; first: what the original calls it.
    """
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in opening.tensors(path).items():
        if place := re.fullmatch(rf"(?:{kind}\.)?(layers\.)?(\d+)\.(.+)", name):
            found.setdefault(int(place[2]) + (first if place[1] else 0), {})[place[3]] = tensor.float()
    return found
