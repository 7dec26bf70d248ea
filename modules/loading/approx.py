"""Approx NN, A1111's small preview network: seven plain convolutions from a latent to RGB at twice its size.

Files in its layout ("conv1.weight" … "conv8.bias"), from models/VAE-approx: `model.pt` for the latents of SD 1 and 2,
`vaeapprox-sdxl.pt`, `vaeapprox-sd3.pt` (`NAMES`); safetensors will do as well.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.core.errors import DamagedFile
from modules.loading import opening
from modules.loading.family import Family

log = logging.getLogger(__name__)

NAMES: Mapping[str, str] = {"taesd": "model", "taesdxl": "vaeapprox-sdxl", "taesd3": "vaeapprox-sd3"}
"""Latent space (`Latent.tiny`) -> how its file is called, without ending."""
ENDINGS = (".pt", ".safetensors", ".pth")
BORDER = 11
"""Pixels of nothing around the enlarged latent: as many as the layers, which pad nothing, take away."""
SLOPE = 0.1
"""Of the rectifier behind every layer."""


class ApproxFiles:
    """The networks of a folder, None: there are none. The last one used stays loaded."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._read = functools.lru_cache(maxsize=1)(read)

    def find(self, family: Family) -> Path | None:
        """The file for a family's latents, or None."""
        name = NAMES.get(family.latent.tiny)
        if self.folder is None or name is None:
            return None
        return next((path for ending in ENDINGS if (path := self.folder / f"{name}{ending}").is_file()), None)

    def decode_with(self, family: Family, device: torch.device) -> Callable[[Tensor], Tensor] | None:
        """Latent (C, H, W) -> pixels (3, 2H, 2W) in 0..1; None where there is no file, or a damaged one (logged)."""
        path = self.find(family)
        if path is None:
            return None
        try:
            network = self._read(path, path.stat().st_mtime_ns, family.latent.channels).to(device)
        except DamagedFile as error:
            log.warning("%s", error)
            return None

        def decode(latent: Tensor) -> Tensor:
            made: Tensor = network(latent.to(device, torch.float32).unsqueeze(0))[0]
            return ((made + 1) / 2).clamp(0, 1)

        return decode


class Approx(nn.Module):
    """(B, C, H, W) -> (B, 3, 2H, 2W), about -1..1."""

    def __init__(self, layers: list[nn.Conv2d]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, latent: Tensor) -> Tensor:
        x = functional.interpolate(latent, scale_factor=2, mode="nearest")
        x = functional.pad(x, (BORDER,) * 4)
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
        return x


def read(path: Path, _mtime: int, channels: int) -> Approx:
    """channels: of the latents. Raises DamagedFile for what is no such network for them."""
    weights, layers = opening.tensors(path), []
    for number in itertools.count(1):
        weight, bias = (weights.get(f"conv{number}.{part}") for part in ("weight", "bias"))
        if weight is None or bias is None:
            break
        if weight.dim() != 4 or weight.shape[1] != channels or bias.shape != weight.shape[:1]:
            raise DamagedFile(f"{path.name}: layer {number} of this preview network does not take {channels} channels.")
        layer = nn.Conv2d(channels, len(weight), (weight.shape[2], weight.shape[3]))
        layer.weight, layer.bias = (nn.Parameter(part.float(), requires_grad=False) for part in (weight, bias))
        layers.append(layer)
        channels = len(weight)
    border = sum((layer.kernel_size[0] - 1) // 2 for layer in layers)
    if channels != 3 or border != BORDER:
        raise DamagedFile(
            f"{path.name}: not a preview network in A1111's layout (conv1 … conv8, 3 channels at the end)."
        )
    return Approx(layers)
