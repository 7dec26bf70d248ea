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

from modules.training import models, sight
from modules.training.data import pixels, to_pictures
from modules.training.loop import Batch, indices
from modules.training.recipes import Recipe, VaeSize
from modules.training.sheets import grid

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL


AREA = 8
"""Pixels along a side of what one latent cell stands for."""
ANCHORED = 2.0
"""What an anchored latent is, times the mean colour of its area."""
SMALL, FAINT = 0.1, 0.3
"""Shares of the usual fresh weights with which `straight` begins: of what is added, and of what is around a pixel."""
JITTER = 0.05
"""How far off latents are when the decoder is polished, as a share of their deviation."""
UNFOLDED = (torch.zeros(models.LATENT), torch.full((models.LATENT,), 1 / models.SCALE))
"""Statistics of latents that have SD1's scale already: `fold` changes nothing."""
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


@torch.no_grad()
def deepened(vae: AutoencoderKL, size: VaeSize) -> AutoencoderKL:
    """The same autoencoder at a size with as many or more blocks a level; new ones add nothing yet, so no picture
    changes.
    """
    deeper = models.vae(size)
    known = vae.state_dict()
    for name, module in deeper.named_modules():
        if name.endswith("conv2") and f"{name}.weight" not in known:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    deeper.load_state_dict(deeper.state_dict() | known)
    return deeper.eval().requires_grad_(False)


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
        crops = torch.stack(
            [each[y : y + recipe.crop, x : x + recipe.crop] for each, (y, x) in _places(whole, recipe, 1, generator)]
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
        mean, logvar = spread.mean.float(), spread.logvar.float()
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        found = differences(answer, target, self._recipe.edges)
        loss = found["loss"] + self._recipe.kl * divergence + (firm * _adrift(mean, target)).mean()
        return {**found, "loss": loss, "kl": divergence}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        """Eight pictures above what becomes of them."""
        given = pixels(self._pictures.take(torch.arange(min(8, len(self._pictures)))))
        device = next(network.parameters()).device
        vae: Any = network
        back = vae.decode(vae.encode(given.to(device)).latent_dist.mean).sample
        return grid(torch.cat([to_pictures(given), to_pictures(back.float())]), columns=len(given))


class PolishTask:
    """Let the decoder alone paint the pictures again from cached latents: sharper, and no latent changes.

    Nothing is encoded, so a step costs less than one of `VaeTask`. The latents are a little off (`JITTER`), as those
    that a UNet makes are. eyes: a network's layers by which the look is judged as well (`sight`).
    """

    def __init__(
        self,
        network: AutoencoderKL,
        pictures: Pictures,
        latents: Pictures,
        recipe: Recipe,
        eyes: nn.Sequential | None = None,
    ) -> None:
        self.network: Any = network
        network.requires_grad_(False)
        for part in (network.decoder, network.post_quant_conv):
            part.requires_grad_(True)
        self._pictures, self._latents, self._recipe, self._eyes = pictures, latents, recipe, eyes

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Crops (B, 3, crop, crop) in -1..1 and the VAE's latents of the same places (B, 4, crop / 8, crop / 8)."""
        recipe = self._recipe
        chosen = indices(len(self._latents), step, recipe.polish_stage.batch, recipe.seed + 1)
        whole, latents = self._pictures.take(chosen), self._latents.take(chosen).float()
        area = whole.shape[1] // latents.shape[-1]
        side, small = recipe.crop, recipe.crop // area
        corners = [corner for _, corner in _places(whole, recipe, area, generator)]
        crops = [each[y : y + side, x : x + side] for each, (y, x) in zip(whole, corners, strict=True)]
        cells = [
            each[:, y // area : y // area + small, x // area : x // area + small]
            for each, (y, x) in zip(latents, corners, strict=True)
        ]
        given = torch.stack(cells)
        noise = torch.randn(given.shape, generator=generator)
        return pixels(torch.stack(crops)), given + noise * (JITTER / models.SCALE)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        target, latents = batch
        answer = self.network.decode(latents).sample.float()
        found = differences(answer, target, self._recipe.edges)
        if self._eyes is None:
            return found
        look = sight.unlikeness(self._eyes, answer, target).mean()
        return {**found, "loss": found["loss"] + self._recipe.sight * look, "look": look}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        """Eight pictures above what the decoder makes of their latents."""
        some = torch.arange(min(8, len(self._pictures)))
        device = next(network.parameters()).device
        vae: Any = network
        back = vae.decode(self._latents.take(some).float().to(device)).sample
        return grid(torch.cat([self._pictures.take(some), to_pictures(back.float())]), columns=len(some))


def differences(answer: Tensor, target: Tensor, weight: float) -> dict[str, Tensor]:
    """Between pictures (B, 3, H, W) in -1..1: "loss", of which "l1", "square" and "edges" (by weight) are the parts."""
    error = answer - target
    plain = error.abs().mean()
    square = (error**2).mean() + (functional.avg_pool2d(error, AREA) ** 2).mean()
    sharp = edges(answer, target) + edges(functional.avg_pool2d(answer, 2), functional.avg_pool2d(target, 2))
    return {"loss": plain + square + weight * sharp, "l1": plain, "square": square, "edges": sharp}


def _places(
    pictures: Tensor, recipe: Recipe, grid: int, generator: torch.Generator
) -> list[tuple[Tensor, tuple[int, int]]]:
    """Each of uint8 (B, H, W, 3) with the corner (y, x), a multiple of grid, of a square cut: of `looks` tried ones
    the one with most edges. A drawing is mostly flat: cuts taken blindly show little of what is hard to learn.
    """
    side = recipe.crop
    room = (pictures.shape[1] - side) // grid
    tried = torch.randint(0, room + 1, (len(pictures), recipe.looks, 2), generator=generator) * grid

    def busy(picture: Tensor, corner: list[int]) -> float:
        y, x = corner
        return float(picture[y : y + side, x : x + side].float().diff(dim=1).abs().mean())

    chosen = [
        (each, max(corners, key=lambda corner: busy(each, corner)))
        for each, corners in zip(pictures, tried.tolist(), strict=True)
    ]
    return [(each, (corner[0], corner[1])) for each, corner in chosen]


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
