"""What companions learn from: some hundred pictures, the user's own or painted in a style new to the model."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor

from modules.core.errors import NotFound
from modules.training import autoencoder
from modules.training.data import Folder, Painted, Source
from modules.training.diffusion import Material
from modules.training.painter import picture, scene
from modules.training.sampling import Parts


def _duotone(given: Image.Image) -> Image.Image:
    return ImageOps.colorize(ImageOps.autocontrast(ImageOps.grayscale(given)), (32, 24, 84), (255, 226, 180))


def _blueprint(given: Image.Image) -> Image.Image:
    lines = ImageOps.grayscale(given.filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.FIND_EDGES))
    return ImageOps.colorize(lines.point(lambda value: min(255, value * 4)), (24, 60, 130), (235, 244, 255))


def _night(given: Image.Image) -> Image.Image:
    return Image.blend(given, Image.new("RGB", given.size, (6, 8, 48)), 0.6)


STYLES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "duotone": _duotone,
    "blueprint": _blueprint,
    "night": _night,
}
"""Ways to restyle a picture; none of them is among the styles of the painter."""


@dataclasses.dataclass(frozen=True)
class Restyled:
    """Another source's pictures in a style, with its captions unchanged: what the style looks like is all there is to
    learn.
    """

    inner: Source
    style: str

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise NotFound("style", self.style, STYLES, field="style")

    def __len__(self) -> int:
        return len(self.inner)

    def picture(self, index: int, size: int) -> NDArray[np.uint8]:
        given = Image.fromarray(self.inner.picture(index, size))
        return np.asarray(STYLES[self.style](given).convert("RGB"))

    def caption(self, index: int, dice: random.Random) -> str:
        return self.inner.caption(index, dice)


@dataclasses.dataclass(frozen=True)
class Subject:
    """One thing in one colour, everywhere: what a new word may stand for. Captions have "*" for the word."""

    kind: str
    colour: str
    count: int

    def __len__(self) -> int:
        return self.count

    def picture(self, index: int, size: int) -> NDArray[np.uint8]:
        return np.asarray(picture.paint(scene.draw(index, pair=(self.kind, self.colour), simple=True), size))

    def caption(self, index: int, dice: random.Random) -> str:
        return dice.choice(("*", "a *", "a picture of a *", "a simple illustration of a *", "one *"))


class InMemory:
    """Latents as a tensor (n, 4, h, w)."""

    def __init__(self, latents: Tensor) -> None:
        self._latents = latents

    def __len__(self) -> int:
        return len(self._latents)

    def take(self, wanted: Tensor) -> Tensor:
        return self._latents[wanted]


def pictures(source: Source, size: int) -> Tensor:
    """All pictures of a source, uint8 (n, size, size, 3)."""
    return torch.from_numpy(np.stack([source.picture(index, size) for index in range(len(source))]))


def material(parts: Parts, source: Source, *, batch: int, seed: int, dropout: float = 0.1) -> Material:
    """The source as latents of the model's own VAE."""
    latents = autoencoder.encode(parts.vae, pictures(source, parts.size), parts.device)
    return Material(
        latents=InMemory(latents),
        source=source,
        batch=batch,
        seed=seed,
        schedule=parts.schedule,
        prediction=parts.prediction,
        dropout=dropout,
    )


def source_of(folder: Path | None, *, style: str, count: int) -> Source:
    """The user's pictures, or painted scenes in a style."""
    return Folder(folder) if folder else Restyled(Painted(count), style)
