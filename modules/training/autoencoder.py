"""Training of the VAE, and folding its statistics into the format: afterwards latents have the scale that SD1 expects.

Loss: L1 of pixels, squares of their error and of that of areas of 8 x 8 (L1 alone is content with gray for long), L1 of
differences between neighbours (edges) at two sizes, and the KL term that keeps the latent space smooth
(Kingma and Welling 2013, https://arxiv.org/abs/1312.6114; latent diffusion, Rombach et al. 2022, appendix G).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from modules.training import models
from modules.training.data import Shards, pixels, to_pictures
from modules.training.loop import Batch, indices
from modules.training.recipes import Recipe
from modules.training.sheets import grid

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL


AREA = 8
"""Pixels along a side of what one latent cell stands for."""
QUIET = 6.0
"""How far the logarithm of the latents' variance begins below 0: otherwise noise drowns the first lessons."""


def quiet(vae: AutoencoderKL) -> None:
    """Let a fresh encoder begin nearly sure of itself."""
    with torch.no_grad():
        vae.quant_conv.bias[models.LATENT :] -= QUIET


class VaeTask:
    """Reconstruct crops of the pictures."""

    def __init__(self, network: AutoencoderKL, pictures: Shards, recipe: Recipe) -> None:
        self.network: Any = network
        self._pictures, self._recipe = pictures, recipe

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Crops (B, 3, crop, crop) in -1..1 and the noise of their latents."""
        recipe, stage = self._recipe, self._recipe.vae_stage
        whole = self._pictures.take(indices(len(self._pictures), step, stage.batch, recipe.seed))
        room = whole.shape[1] - recipe.crop
        corners = torch.randint(0, room + 1, (len(whole), 2), generator=generator).tolist()
        crops = torch.stack(
            [each[y : y + recipe.crop, x : x + recipe.crop] for each, (y, x) in zip(whole, corners, strict=True)]
        )
        levels = len(recipe.vae.channels) - 1
        side = recipe.crop >> levels
        return pixels(crops), torch.randn(len(crops), models.LATENT, side, side, generator=generator)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        target, noise = batch
        spread = self.network.encode(target).latent_dist
        answer = self.network.decode(spread.mean + spread.std * noise).sample.float()
        plain = (answer - target).abs().mean()
        sharp = edges(answer, target) + edges(functional.avg_pool2d(answer, 2), functional.avg_pool2d(target, 2))
        mean, logvar = spread.mean.float(), spread.logvar.float()
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        error = answer - target
        square = (error**2).mean() + (functional.avg_pool2d(error, AREA) ** 2).mean()
        loss = plain + square + self._recipe.edges * sharp + self._recipe.kl * divergence
        return {"loss": loss, "l1": plain, "square": square, "edges": sharp, "kl": divergence}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        """Eight pictures above what becomes of them."""
        given = pixels(self._pictures.take(torch.arange(min(8, len(self._pictures)))))
        device = next(network.parameters()).device
        vae: Any = network
        back = vae.decode(vae.encode(given.to(device)).latent_dist.mean).sample
        return grid(torch.cat([to_pictures(given), to_pictures(back.float())]), columns=len(given))


def edges(answer: Tensor, target: Tensor) -> Tensor:
    """L1 between the differences of neighbouring pixels, both ways; (B, C, H, W) twice -> ()."""
    wide = (answer[..., 1:] - answer[..., :-1]) - (target[..., 1:] - target[..., :-1])
    high = (answer[..., 1:, :] - answer[..., :-1, :]) - (target[..., 1:, :] - target[..., :-1, :])
    return wide.abs().mean() + high.abs().mean()


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Tensor, device: torch.device, batch: int = 32) -> Tensor:
    """uint8 (n, H, W, 3) -> means of the VAE's latents, float32 (n, 4, H/8, W/8), on the CPU."""
    found = []
    for part in torch.split(pictures, batch):
        given = pixels(part).to(device, memory_format=torch.channels_last)
        found.append(vae.encode(given).latent_dist.mean.float().cpu())
    return torch.cat(found)


@torch.no_grad()
def fold(vae: AutoencoderKL, mean: Tensor, deviation: Tensor) -> None:
    """Let the VAE's latents have mean 0 and deviation 1 / SCALE in each channel, without any change of its pictures.

    mean, deviation (4,): of its latents as they are. The change goes into the 1 x 1 convolutions on both sides of the
    latent space: z' = (z - mean) * factor before it, and back after it.
    """
    factor = 1 / (deviation * models.SCALE)
    before, after = vae.quant_conv, vae.post_quant_conv
    channels = models.LATENT
    before.weight[:channels] *= factor.reshape(-1, 1, 1, 1)
    before.bias[:channels] = (before.bias[:channels] - mean) * factor
    before.bias[channels:] += 2 * factor.log()  # the logarithm of the variance
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight /= factor.reshape(1, -1, 1, 1)


def statistics(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of (n, C, h, w)."""
    flat = latents.transpose(0, 1).flatten(1)
    return flat.mean(1), flat.std(1)
