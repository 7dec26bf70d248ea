"""A tiny decoder for live previews, in the layout of TAESD (Bohan 2023): latents to pictures without the VAE.

It learns to paint the training pictures from their latents. width: TAESD has 64, which in a model of this size would be
slower than the VAE itself; 16 is enough for a preview.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn

from modules.training import exporting, models
from modules.training.autoencoder import edges
from modules.training.data import Shards, pixels, to_pictures
from modules.training.loop import Batch, Pace, Trainer, indices
from modules.training.recipes import Stage
from modules.training.sheets import grid

if TYPE_CHECKING:
    from diffusers.models.autoencoders.vae import DecoderTiny

BLOCKS = (3, 3, 3, 1)
"""TAESD's blocks at each size, from the latent up."""


def decoder(width: int) -> DecoderTiny:
    """Fresh weights. Model latents (B, 4, h, w) -> (B, 3, 8h, 8w) in -1..1."""
    from diffusers.models.autoencoders.vae import DecoderTiny

    return DecoderTiny(models.LATENT, 3, BLOCKS, (width,) * len(BLOCKS), 2, "relu", "nearest")


class PreviewTask:
    """Pictures from cached latents."""

    def __init__(self, network: Any, pictures: Shards, latents: Shards, *, batch: int, seed: int) -> None:
        self.network: nn.Module = network
        self._pictures, self._latents, self._batch, self._seed = pictures, latents, batch, seed

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        chosen = indices(len(self._latents), step, self._batch, self._seed)
        return self._latents.take(chosen).float() * models.SCALE, pixels(self._pictures.take(chosen))

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        latents, target = batch
        answer = self.network(latents).float()
        plain, sharp = (answer - target).abs().mean(), edges(answer, target)
        return {"loss": plain + sharp, "l1": plain, "edges": sharp}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        device = next(network.parameters()).device
        latents = self._latents.take(torch.arange(min(8, len(self._latents)))).float() * models.SCALE
        return grid(to_pictures(network(latents.to(device)).float()), columns=len(latents))


def train(task: PreviewTask, stage: Stage, *, folder: Path, seed: int, device: torch.device, pace: Pace) -> nn.Module:
    """The decoder with averaged weights."""
    trainer = Trainer(task, stage, seed=seed, folder=folder, device=device)
    trainer.run(pace)
    trainer.mean.settle(task.network)
    return task.network.eval()


def write(path: Path, network: nn.Module) -> None:
    """TAESD's names, whose clamp is layer 0: "layers.0.weight" -> "1.weight"."""

    def renamed(name: str) -> str:
        return re.sub(r"^layers\.(\d+)", lambda found: str(int(found[1]) + 1), name)

    tensors = {renamed(name): each.detach().half().cpu().contiguous() for name, each in network.state_dict().items()}
    exporting.write(path, tensors, {})
