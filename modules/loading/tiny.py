"""Tiny autoencoders (TAESD and kin): a picture from latents in a fraction of the time, for previews and, if the user
says so, for the result.

Files in the original layout, from models/VAE-taesd: `taesd_decoder.safetensors` or `.pth`, `taesd_encoder…`, with other
beginnings for other families (`Latent.tiny`), or both in one, as `taef2.safetensors` is published. A decoder that
carries a checkpoint's own name wins for that checkpoint.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.core.errors import DamagedFile
from modules.loading import opening
from modules.loading.family import Family
from modules.loading.tiling import tile

log = logging.getLogger(__name__)

ENDINGS = (".safetensors", ".pth", ".pt")
POOLED = 4
"""How many times as wide a block's pool is as the block, and its groups."""


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
    """(B, C, H, W) -> (B, 3, 8H, 8W), about 0..1. Raises DamagedFile."""
    return _network(_layers(path, "decoder", first=1), path, widths=(channels, 3), decodes=True)


def encoder(path: Path, _mtime: int, channels: int) -> nn.Module:
    """(B, 3, H, W) in 0..1 -> (B, C, H/8, W/8). Raises DamagedFile."""
    return _network(_layers(path, "encoder", first=0), path, widths=(3, channels), decodes=False)


class _Clamp(nn.Module):
    """Softly to -3..3: what the decoder was trained on."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class _Block(nn.Module):
    """Three convolutions beside a way around them; with a pool, the picture as a whole has its say before (TAEF2)."""

    def __init__(self, before: int, after: int, *, pool: bool) -> None:
        super().__init__()
        rest = (nn.ReLU(), _conv(after, after), nn.ReLU(), _conv(after, after))
        self.conv = nn.Sequential(_conv(before, after), *rest)
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)
        wide = before * POOLED
        layers = (nn.Conv2d(before, wide, 1, bias=False), nn.GroupNorm(POOLED, wide), nn.ReLU())
        self.pool = nn.Sequential(*layers, nn.Conv2d(wide, before, 1, bias=False)) if pool else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return functional.relu(self.conv(x) + self.skip(x))


def _conv(before: int, after: int, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, **more)


def _layers(path: Path, kind: str, *, first: int) -> dict[int, dict[str, Tensor]]:
    """Place -> the layer's tensors (float32), as the original counts: "3.conv.0.weight". diffusers' names begin with
    "layers." or "decoder.layers." and count the first layer that has numbers as 0; first: what the original calls it.
    """
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in opening.tensors(path).items():
        if place := re.fullmatch(rf"((?:{kind}\.)?layers\.)?(\d+)\.(.+)", name):
            found.setdefault(int(place[2]) + (first if place[1] else 0), {})[place[3]] = tensor.float()
    return found


def _network(
    layers: Mapping[int, Mapping[str, Tensor]], path: Path, *, widths: tuple[int, int], decodes: bool
) -> nn.Sequential:
    """The layers in their places. Those without numbers are known by where they stand: in a decoder the clamp at 0, a
    rectifier at 2, and enlargements; in an encoder a convolution without bias halves the picture.
    """
    made: list[nn.Module] = []
    with torch.device("meta"):
        for place in range(max(layers, default=-1) + 1):
            own = layers.get(place)
            if own is None:
                made.append(_Clamp() if place == 0 else nn.ReLU() if place == 2 else nn.Upsample(scale_factor=2))
            elif "weight" in own:
                after, before = own["weight"].shape[:2]
                biased = "bias" in own
                made.append(_conv(before, after, bias=biased, stride=1 if decodes or biased else 2))
            elif "conv.0.weight" in own:
                after, before = own["conv.0.weight"].shape[:2]
                made.append(_Block(before, after, pool="pool.0.weight" in own))
        network = nn.Sequential(*made)
    state = {f"{place}.{name}": tensor for place, own in layers.items() for name, tensor in own.items()}
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DamagedFile(f"{path.name}: not a tiny autoencoder ({reason}).") from error
    ends = [layer for layer in made if isinstance(layer, nn.Conv2d)]
    halvings = sum(
        isinstance(layer, nn.Upsample) or (isinstance(layer, nn.Conv2d) and layer.stride[0] == 2) for layer in made
    )
    if not ends or (ends[0].in_channels, ends[-1].out_channels) != widths or halvings != 3:
        raise DamagedFile(f"{path.name}: not a tiny autoencoder for latents of {max(widths)} channels.")
    return network.eval().requires_grad_(False)
