"""Training of the VAE, and folding its statistics into the format: afterwards latents have the scale that SD1 expects.

Loss: L1 of pixels, squares of their error and of that of areas of 8 x 8 (L1 alone is content with gray for long), L1 of
differences between neighbours (edges) at two sizes, and the KL term that keeps the latent space smooth
(Kingma and Welling 2013, https://arxiv.org/abs/1312.6114; latent diffusion, Rombach et al. 2022, appendix G).

A fresh network finds light and dark quickly and colours late: group norms with few channels a group hide a picture's
mean. Two things shorten that from thousands of steps to a hundred: it begins nearly linear (`straight`), and at first
three of the four latents are held to the mean colour of their area (`anchor` in the recipe).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from modules.training import models
from modules.training.data import pixels, to_pictures
from modules.training.loop import Batch, indices
from modules.training.recipes import Recipe
from modules.training.sheets import grid

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL


AREA = 8
"""Pixels along a side of what one latent cell stands for."""
ANCHORED = 2.0
"""What an anchored latent is, times the mean colour of its area."""
SMALL, FAINT = 0.1, 0.3
"""Shares of the usual fresh weights with which `straight` begins: of what is added, and of what is around a pixel."""
QUIET = 6.0
"""How far the logarithm of the latents' variance begins below 0: otherwise noise drowns the first lessons."""


def quiet(vae: AutoencoderKL) -> None:
    """Let a fresh encoder begin nearly sure of itself."""
    with torch.no_grad():
        vae.quant_conv.bias[models.LATENT :] -= QUIET


@torch.no_grad()
def straight(vae: AutoencoderKL) -> None:
    """Let a fresh network begin nearly linear: what a convolution or attention adds is small, and what changes the size
    only averages or repeats.
    """
    from diffusers.models.attention_processor import Attention
    from diffusers.models.downsampling import Downsample2D
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.upsampling import Upsample2D

    for module in vae.modules():
        if isinstance(module, ResnetBlock2D):
            _small(module.conv2)
            if module.conv_shortcut is not None:
                nn.init.orthogonal_(module.conv_shortcut.weight)
                nn.init.zeros_(module.conv_shortcut.bias)
        elif isinstance(module, Attention):
            _small(module.to_out[0])
        elif isinstance(module, Upsample2D):
            nn.init.dirac_(module.conv.weight)
            nn.init.zeros_(module.conv.bias)
        elif isinstance(module, Downsample2D):
            weight = nn.init.zeros_(module.conv.weight)
            nn.init.zeros_(module.conv.bias)
            weight.diagonal()[:2, :2] = 1 / 4
    for conv in (vae.encoder.conv_in, vae.decoder.conv_in):
        wide, narrow = conv.weight.shape[:2]
        conv.weight *= FAINT
        conv.weight[:, :, 1, 1] += nn.init.orthogonal_(torch.empty(wide, narrow), gain=(wide / narrow) ** 0.5)


def _small(layer: Any) -> None:
    layer.weight *= SMALL
    nn.init.zeros_(layer.bias)


class Pictures(Protocol):
    """uint8 pictures (n, H, W, 3) by index."""

    def __len__(self) -> int: ...

    def take(self, wanted: Tensor) -> Tensor: ...


class VaeTask:
    """Reconstruct crops of the pictures."""

    def __init__(self, network: AutoencoderKL, pictures: Pictures, recipe: Recipe) -> None:
        self.network: Any = network
        self._pictures, self._recipe = pictures, recipe

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Crops (B, 3, crop, crop) in -1..1, the noise of their latents, how firmly those are anchored (B,)."""
        recipe, stage = self._recipe, self._recipe.vae_stage
        whole = self._pictures.take(indices(len(self._pictures), step, stage.batch, recipe.seed))
        room = whole.shape[1] - recipe.crop
        corners = torch.randint(0, room + 1, (len(whole), 2), generator=generator).tolist()
        crops = torch.stack(
            [each[y : y + recipe.crop, x : x + recipe.crop] for each, (y, x) in zip(whole, corners, strict=True)]
        )
        levels = len(recipe.vae.channels) - 1
        side = recipe.crop >> levels
        noise = torch.randn(len(crops), models.LATENT, side, side, generator=generator)
        firm = max(0.0, 1 - step / (recipe.anchor * stage.steps)) if recipe.anchor else 0.0
        return pixels(crops), noise, torch.full((len(crops),), firm)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        target, noise, firm = batch
        spread = self.network.encode(target).latent_dist
        answer = self.network.decode(spread.mean + spread.std * noise).sample.float()
        plain = (answer - target).abs().mean()
        sharp = edges(answer, target) + edges(functional.avg_pool2d(answer, 2), functional.avg_pool2d(target, 2))
        mean, logvar = spread.mean.float(), spread.logvar.float()
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        error = answer - target
        square = (error**2).mean() + (functional.avg_pool2d(error, AREA) ** 2).mean()
        loss = plain + square + self._recipe.edges * sharp + self._recipe.kl * divergence
        loss = loss + (firm * _adrift(mean, target)).mean()
        return {"loss": loss, "l1": plain, "square": square, "edges": sharp, "kl": divergence}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        """Eight pictures above what becomes of them."""
        given = pixels(self._pictures.take(torch.arange(min(8, len(self._pictures)))))
        device = next(network.parameters()).device
        vae: Any = network
        back = vae.decode(vae.encode(given.to(device)).latent_dist.mean).sample
        return grid(torch.cat([to_pictures(given), to_pictures(back.float())]), columns=len(given))


def _adrift(latents: Tensor, pictures: Tensor) -> Tensor:
    """How far the first three latents (B, 4, h, w) are from the colours of their areas of (B, 3, H, W) -> (B,)."""
    side = pictures.shape[-1] // latents.shape[-1]
    colours = ANCHORED * functional.avg_pool2d(pictures, side)
    return (latents[:, :3] - colours).square().mean((1, 2, 3))


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


def colours(latents: Tensor, pictures: Tensor) -> Tensor:
    """Least squares from latents (n, C, h, w) to the mean colours in -1..1 of their areas of uint8 (n, H, W, 3).

    -> (C + 1, 3): a row for each channel, and what is added.
    """
    side = pictures.shape[1] // latents.shape[2]
    areas = functional.avg_pool2d(pixels(pictures), side).permute(0, 2, 3, 1).reshape(-1, 3)
    told = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    told = torch.cat([told, torch.ones(len(told), 1)], dim=1)
    found: Tensor = torch.linalg.lstsq(told, areas).solution
    return found


def statistics(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of (n, C, h, w)."""
    flat = latents.transpose(0, 1).flatten(1)
    return flat.mean(1), flat.std(1)
