"""A small network that says which things and colours a latent shows, and judges by that what diffusion answers.

Squared errors count every place alike, and a thing covers few of them: a UNet becomes good at skies long before a cat
looks like a cat. So the guess of the clean latent that follows from each of its answers is also read: by what its
layers answer to it, against what they answer to the true one (a perceptual loss in latent space, as Berrada et al.
2024, https://arxiv.org/abs/2411.04873, with the layers of this network in place of the decoder's), and by whether the
thing and the colour of the caption are there. It learns from the latents of the run alone: pairs that are held out
there, it never sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from modules.training import models
from modules.training.data import Shards
from modules.training.loop import Batch, indices
from modules.training.painter import scene
from modules.training.painter.colours import COLOURS
from modules.training.painter.things import THINGS

WIDTHS = (64, 96, 128, 160, 192)
STRIDES = (1, 1, 2, 1, 2)
"""Channels and steps of the layers."""
KINDS, COLOUR_NAMES = tuple(THINGS), tuple(COLOURS)
OUT = -1e4
"""The score of an answer that is left out."""
_HELD_OUT = torch.tensor([[scene.held_out(kind, colour) for colour in COLOUR_NAMES] for kind in KINDS])
"""(things, colours): the pairs that the run's latents never show."""
TINT = 0.3
"""How much the channels of every second latent are mixed while it learns: a thing is what it is in any colour."""
NOISE = 0.7
"""The most noise (deviation) that is added to latents while it learns: guesses of a UNet are never clean."""
HIGHEST = 5.0
"""Guesses from noise (sigma) of this much on need not look like the true latent: they blur all that could be."""


class Judge(nn.Module):
    """Model latents (n, 4, h, w) -> scores of the things (n, 28) and colours (n, 12)."""

    def __init__(self) -> None:
        super().__init__()
        layers, before = [], 4
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            convolution = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            layers.append(nn.Sequential(convolution, nn.GroupNorm(8, width), nn.SiLU()))
            before = width
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * before, len(KINDS) + len(COLOUR_NAMES)))

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        found = self.trunk(latents)
        scores = self.head(torch.cat([found.amax((2, 3)), found.mean((2, 3))], dim=1))
        return scores[:, : len(KINDS)], scores[:, len(KINDS) :]


def truths(scenes: Sequence[scene.Scene]) -> Tensor:
    """Shares of things and colours in each scene (n, 28 + 12): 1, or a half each where there are two."""
    shares = torch.zeros(len(scenes), len(KINDS) + len(COLOUR_NAMES))
    for row, drawn in enumerate(scenes):
        for thing in drawn.things:
            shares[row, KINDS.index(thing.kind)] += 1 / len(drawn.things)
            shares[row, len(KINDS) + COLOUR_NAMES.index(thing.colour)] += 1 / len(drawn.things)
    return shares


def misread(scores: tuple[Tensor, Tensor], shares: Tensor) -> Tensor:
    """Cross-entropies of things and of colours (n, 2).

    An answer that would make a held-out pair with what is there does not compete: otherwise a judge learns that a red
    thing is no boat because it never met one, and teaches that.
    """
    kinds, colours = torch.split(shares, [len(KINDS), len(COLOUR_NAMES)], dim=1)
    never = _HELD_OUT.to(shares)
    return torch.stack(
        [
            _entropy(scores[0], kinds, rivals=colours @ never.T == 0),
            _entropy(scores[1], colours, rivals=kinds @ never == 0),
        ],
        dim=1,
    )


def _entropy(scores: Tensor, shares: Tensor, *, rivals: Tensor) -> Tensor:
    """Cross-entropy (n,) of scores (n, answers), the answers that are neither true nor rivals left out."""
    return functional.cross_entropy(scores.masked_fill(~rivals & (shares == 0), OUT), shares, reduction="none")


class JudgeTask:
    """Name the things and colours of the run's latents."""

    def __init__(self, latents: Shards, shares: Tensor, *, batch: int, seed: int) -> None:
        self.network: Judge = Judge()
        self._latents, self._shares, self._batch, self._seed = latents, shares, batch, seed

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Latents a little shifted, with noise of any strength up to NOISE, the channels of every second one mixed;
        shares; 1 for things and for colours that count (B, 2).
        """
        chosen = indices(len(self._latents), step, self._batch, self._seed)
        latents = self._latents.take(chosen).float() * models.SCALE
        shifts = torch.randint(-1, 2, (2,), generator=generator)
        latents = torch.roll(latents, tuple(shifts.tolist()), dims=(2, 3))
        mixed = torch.eye(models.LATENT) + TINT * torch.randn(
            len(chosen), models.LATENT, models.LATENT, generator=generator
        )
        mixed[::2] = torch.eye(models.LATENT)
        latents = torch.einsum("nab,nbhw->nahw", mixed, latents)
        strength = NOISE * torch.rand(len(chosen), 1, 1, 1, generator=generator) ** 2
        counted = torch.ones(len(chosen), 2)
        counted[1::2, 1] = 0
        return latents + strength * torch.randn(latents.shape, generator=generator), self._shares[chosen], counted

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        latents, shares, counted = batch
        scores = self.network(latents)
        hit = shares[:, : len(KINDS)].gather(1, scores[0].argmax(1, keepdim=True)) > 0
        loss = (misread(scores, shares) * counted).sum(1).mean()
        return {"loss": loss, "right": hit.float().mean()}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        return None
