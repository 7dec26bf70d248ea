"""Tiny autoencoders (TAESD and kin): a picture from latents in a fraction of the time, for previews and, if the user
says so, for the result.

Files in the original layout, from models/VAE-taesd: `taesd_decoder.safetensors` or `.pth`, `taesd_encoder…`, with other
beginnings for other families (`Latent.tiny`). A decoder that carries a checkpoint's own name wins for that checkpoint.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from modules.core.errors import DamagedFile
from modules.loading import opening
from modules.loading.family import Family
from modules.loading.tiling import tile

log = logging.getLogger(__name__)

ENDINGS = (".safetensors", ".pth", ".pt")
BLOCKS = (3, 3, 3, 1)
"""Residual blocks at each resolution, lowest first; between them the picture doubles."""


class TinyFiles:
    """The tiny autoencoders of a folder. The last one of each kind stays loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.decoder = functools.lru_cache(maxsize=1)(decoder)
        self.encoder = functools.lru_cache(maxsize=1)(encoder)

    def find(self, kind: str, family: Family, checkpoint: str) -> Path | None:
        """kind: "decoder" or "encoder"; checkpoint: its name without ending. The file to use, or None."""
        names = (f"{checkpoint}_{kind}", f"{family.latent.tiny}_{kind}" if family.latent.tiny else "")
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
    from diffusers.models.autoencoders.vae import DecoderTiny

    weights = _renumbered(opening.tensors(path), shift=-1)  # the original counts its clamp as the first layer
    with torch.device("meta"):
        network = DecoderTiny(channels, 3, BLOCKS, (_width(weights),) * 4, 2, "relu", "nearest")
    return _Scaled(_filled(network, weights, path), lambda made: made.add(1).div(2), lambda given: given)


def encoder(path: Path, _mtime: int, channels: int) -> nn.Module:
    """(B, 3, H, W) in 0..1 -> (B, C, H/8, W/8). Raises DamagedFile."""
    from diffusers.models.autoencoders.vae import EncoderTiny

    weights = _renumbered(opening.tensors(path), shift=0)
    with torch.device("meta"):
        network = EncoderTiny(3, channels, BLOCKS[::-1], (_width(weights),) * 4, act_fn="relu")
    return _Scaled(_filled(network, weights, path), lambda made: made, lambda given: given.mul(2).sub(1))


class _Scaled(nn.Module):
    """diffusers' classes work on -1..1 where the original has 0..1."""

    def __init__(
        self, network: nn.Module, after: Callable[[Tensor], Tensor], before: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.network, self._after, self._before = network, after, before

    def forward(self, given: Tensor) -> Tensor:
        return self._after(self.network(self._before(given)))


def _width(weights: Mapping[str, Tensor]) -> int:
    """Channels of the layers: 64 in the published ones, fewer in those of small models."""
    first = weights.get("layers.0.weight")
    return 64 if first is None else len(first)


def _filled(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> nn.Module:
    try:
        network.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DamagedFile(f"{path.name}: not a tiny autoencoder for these latents ({reason}).") from error
    return network.eval().requires_grad_(False)


def _renumbered(weights: Mapping[str, Tensor], shift: int) -> dict[str, Tensor]:
    """ "3.conv.0.weight" -> "layers.2.conv.0.weight", float32."""
    renamed = {}
    for name, tensor in weights.items():
        place = re.fullmatch(r"(?:layers\.)?(\d+)\.(.+)", name)
        if place:
            renamed[f"layers.{int(place[1]) + shift}.{place[2]}"] = tensor.float()
    return renamed
