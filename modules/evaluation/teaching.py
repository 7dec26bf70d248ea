"""Training of the reader on the painter's pictures of one thing (or one group), with its loop and its laws."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from modules.evaluation.reader import ANSWERS, COLOUR_NAMES, KINDS, SIDE, WIDTHS, Reader
from modules.training.data import PICTURES, Shards, paint
from modules.training.loop import Batch, Pace, Trainer, indices
from modules.training.painter import picture
from modules.training.painter.places import PLACES
from modules.training.painter.scene import Scene, draw
from modules.training.recipes import Stage

FIRST = 1 << 40
"""Seeds from here on belong to evaluation: training pictures have smaller ones."""
TESTED = 1 << 41
"""Seeds from here on are for testing the reader itself."""
SOFTEST = 40
"""Pixels along a side that are left of the softest pictures among the lessons."""
SHAKEN = 2.0
"""The deviation in pixels by which the most shaken lessons are off."""
STAGE = Stage(steps=2500, batch=64, rate=3e-3, warmup=100, floor=0.01, ema=0.99)


def scene_of(seed: int) -> Scene:
    """A scene with one thing or group, of any pair of kind and colour that stands out."""
    dice = random.Random(f"reader {seed}")
    pair = dice.choice(KINDS), dice.choice(COLOUR_NAMES)
    return draw(seed, pair=pair, place=dice.choice(list(PLACES)))


@dataclasses.dataclass(frozen=True)
class Lessons:
    """Numbered pictures for the reader (a `data.Source` without captions)."""

    count: int
    first: int = FIRST

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> Scene:
        return scene_of(self.first + index)

    def picture(self, index: int, size: int) -> NDArray[np.uint8]:
        return np.asarray(picture.paint(self.scene(index), size))

    def caption(self, index: int, dice: random.Random) -> str:
        return ""


class ReaderTask:
    """Tell what is in the pictures."""

    def __init__(self, reader: Reader, pictures: Shards, lessons: Lessons, *, batch: int, seed: int) -> None:
        self.network: Reader = reader
        self._pictures, self._batch, self._seed = pictures, batch, seed
        self._labels, self._numbers = truths([lessons.scene(index) for index in range(len(lessons))])

    def draw(self, step: int, generator: torch.Generator) -> Batch:
        """Pictures a little shifted, half of them softened and drawn with a shaking hand, paler or darker, with some
        noise; labels; numbers.
        """
        chosen = indices(len(self._pictures), step, self._batch, self._seed)
        pictures = self._pictures.take(chosen).float()
        numbers = self._numbers[chosen].clone()
        shifts = torch.randint(-4, 5, (2,), generator=generator)
        pictures = torch.roll(pictures, tuple(shifts.tolist()), dims=(1, 2))
        numbers[:, 0] += shifts[1] / SIDE
        numbers[:, 1] += shifts[0] / SIDE
        pictures[::2] = softened(pictures[::2], int(torch.randint(SOFTEST, SIDE + 1, (), generator=generator)))
        pictures[1::4] = shaken(pictures[1::4], generator)
        pictures[2::4] = shaken(pictures[2::4], generator)
        gain = 1 + 0.08 * torch.randn(len(chosen), 1, 1, 1, generator=generator)
        noise = 6 * torch.rand(len(chosen), 1, 1, 1, generator=generator)
        pictures = pictures * gain + noise * torch.randn(pictures.shape, generator=generator)
        return pictures.clamp(0, 255).to(torch.uint8), self._labels[chosen], numbers

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        pictures, labels, numbers = batch
        answer = self.network(pictures)
        each = {name: functional.cross_entropy(answer[name], labels[:, row]) for row, name in enumerate(ANSWERS)}
        off = functional.smooth_l1_loss(answer["numbers"], numbers, beta=0.05)
        right = (answer["kind"].argmax(1) == labels[:, 0]).float().mean()
        total = torch.stack(list(each.values())).sum() + 20 * off
        return {"loss": total, "right": right, "off": off}

    def sheet(self, network: nn.Module) -> Image.Image | None:
        return None


def softened(pictures: Tensor, side: int) -> Tensor:
    """Pictures (n, H, W, 3) as if they had only `side` pixels along a side: a person still sees what they show, and so
    shall the reader.
    """
    given = pictures.permute(0, 3, 1, 2)
    small = functional.interpolate(given, size=(side, side), mode="bilinear", antialias=True)
    return functional.interpolate(small, size=given.shape[2:], mode="bilinear").permute(0, 2, 3, 1)


def shaken(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (n, H, W, 3) with every line moved a little, another way in every part: up to some SHAKEN pixels."""
    count, high, wide, _ = pictures.shape
    moved = (
        SHAKEN * torch.rand(count, 1, 1, 1, generator=generator) * torch.randn(count, 2, 12, 12, generator=generator)
    )
    moved = functional.interpolate(moved, size=(high, wide), mode="bicubic").permute(0, 2, 3, 1) * 2 / SIDE
    straight = functional.affine_grid(torch.eye(2, 3).expand(count, 2, 3), [count, 3, high, wide], align_corners=False)
    given = pictures.permute(0, 3, 1, 2)
    drawn = functional.grid_sample(given, straight + moved, padding_mode="border", align_corners=False)
    return drawn.permute(0, 2, 3, 1)


def truths(scenes: list[Scene]) -> tuple[Tensor, Tensor]:
    """Labels (n, questions) and numbers (n, 3) of scenes with one thing or group."""
    labels, numbers = [], []
    for scene in scenes:
        thing = scene.things[0]
        facts = {"kind": thing.kind, "colour": thing.colour, "count": thing.count, "ground": scene.ground,
                 "time": scene.time, "style": scene.style}  # fmt: skip
        labels.append([choices.index(facts[name]) for name, choices in ANSWERS.items()])
        numbers.append([thing.x, thing.y, thing.radius])
    return torch.tensor(labels), torch.tensor(numbers)


def teach(
    folder: Path,
    *,
    pictures: int,
    stage: Stage,
    device: torch.device,
    pace: Pace,
    seed: int = 7,
    widths: Sequence[int] = WIDTHS,
) -> Reader | None:
    """Paint lessons, train, and return the reader with averaged weights, None when told to stop before the end. Goes on
    where it stopped.
    """
    lessons = Lessons(pictures)
    if not paint(lessons, folder / "data", size=SIDE, shard=4096, workers=2 if pictures > 4096 else 1, stop=pace.stop):
        return None
    torch.manual_seed(seed)
    reader = Reader(widths)
    task = ReaderTask(reader, Shards(folder / "data", PICTURES), lessons, batch=stage.batch, seed=seed)
    trainer = Trainer(task, stage, seed=seed, folder=folder / "reader", device=device)
    if not trainer.run(pace):
        return None
    trainer.mean.settle(reader)
    return reader.cpu().eval().requires_grad_(False)
