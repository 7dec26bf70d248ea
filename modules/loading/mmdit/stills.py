"""VAEs whose latents are normalised channel by channel, behind the face of an `AutoencoderKL`.

A model's latent space has one scale in this house (`family.Latent`); what is finer than that is done here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from modules.loading.mmdit.patches import SIDE


@dataclasses.dataclass(frozen=True)
class Middle:
    """The middle of an encoder's answer, as diffusers' distributions give it."""

    latent: Tensor

    def mode(self) -> Tensor:
        return self.latent


@dataclasses.dataclass(frozen=True)
class Encoded:
    """What `encode` answers."""

    latent_dist: Middle


class Stills(nn.Module):
    """A video VAE that sees one frame. mean, deviation (C,) of its latents' channels."""

    def __init__(self, network: nn.Module, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("deviation", deviation.reshape(1, -1, 1, 1))

    def decode(self, latent: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """(B, C, H, W) -> ((B, 3, 8H, 8W),)."""
        raw = (latent * self.deviation + self.mean).unsqueeze(2)  # type: ignore[operator]
        network: Any = self.network
        return (network.decode(raw, return_dict=False)[0][:, :, 0],)

    def encode(self, pixels: Tensor) -> Encoded:
        """(B, 3, H, W) in -1..1."""
        network: Any = self.network
        raw = network.encode(pixels.unsqueeze(2)).latent_dist.mode()[:, :, 0]
        return Encoded(Middle((raw - self.mean) / self.deviation))


class Patched(nn.Module):
    """A VAE whose latents are normalised in patches of 2 x 2 by a batch norm's running statistics (Flux.2)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def decode(self, latent: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """(B, C, H, W) -> ((B, 3, 8H, 8W),)."""
        network: Any = self.network
        mean, deviation = self._statistics(latent)
        return (network.decode(latent * deviation + mean, return_dict=False)[0],)

    def encode(self, pixels: Tensor) -> Encoded:
        """(B, 3, H, W) in -1..1."""
        network: Any = self.network
        raw = network.encode(pixels).latent_dist.mode()
        mean, deviation = self._statistics(raw)
        return Encoded(Middle((raw - mean) / deviation))

    def _statistics(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation at every latent pixel: those of its channel and its place in the patch (1, C, H, W)."""
        norm: Any = self.network.bn
        height, width = latent.shape[-2:]

        def spread(values: Tensor) -> Tensor:
            tile = values.to(latent).reshape(1, -1, SIDE, SIDE)
            return tile.repeat(1, 1, -(-height // SIDE), -(-width // SIDE))[..., :height, :width]

        return spread(norm.running_mean), spread(torch.sqrt(norm.running_var + norm.eps))
