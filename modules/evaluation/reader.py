"""A small network that reads a painted picture: which thing, which colour, how many, where, how large.

It is trained on pictures of the painter, held-out pairs of thing and colour among them, and never sees a generated
one: what it says of generated pictures is compared with what it says of real painted ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.training import sight
from modules.training.data import pixels
from modules.training.painter import places
from modules.training.painter.colours import COLOURS
from modules.training.painter.things import THINGS

SIDE = 128
"""Pixels along a side of what the network sees."""
WIDTHS = (32, 64, 96, 128)
"""Channels of its convolutions, from level to level."""
PLACED = 12
"""Channels that tell where."""
KINDS, COLOUR_NAMES = tuple(THINGS), tuple(COLOURS)
GROUNDS, TIMES, STYLES = tuple(places.GROUNDS), tuple(places.TIMES), tuple(places.STYLES)
ANSWERS = {
    "kind": KINDS, "colour": COLOUR_NAMES, "count": (1, 2, 3), "ground": GROUNDS, "time": TIMES, "style": STYLES
}  # fmt: skip
"""What is classified -> the possible answers."""
NUMBERS = 3
"""What is measured: x, y of the middle and the half size of the group, in shares of the picture."""


class Reader(nn.Module):
    """uint8 pictures (n, H, W, 3) -> features and answers.

    What a thing is does not depend on where it is: the strongest and the mean answer of the last layer anywhere are
    read for it, and beside them a few channels of every area, which tell where.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.widths = tuple(widths)
        before = self.widths[-1]
        self.trunk = sight.trunk(self.widths)
        self.places = nn.Conv2d(before, PLACED, 1)
        cells = (SIDE >> len(self.widths)) ** 2
        self.mixing = nn.Sequential(nn.Linear(2 * before + PLACED * cells, 256), nn.SiLU())
        self.heads = nn.ModuleDict({name: nn.Linear(256, len(choices)) for name, choices in ANSWERS.items()})
        self.numbers = nn.Linear(256, NUMBERS)

    def features(self, pictures: Tensor) -> Tensor:
        """(n, 256): what the answers are read from."""
        found = self.trunk(seen(pictures))
        told = [found.amax((2, 3)), found.mean((2, 3)), self.places(found).flatten(1)]
        mixed: Tensor = self.mixing(torch.cat(told, dim=1))
        return mixed

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Scores of each question (n, choices), and "numbers" (n, 3)."""
        features = self.features(pictures)
        return {name: head(features) for name, head in self.heads.items()} | {"numbers": self.numbers(features)}

    @torch.no_grad()
    def read(self, pictures: Tensor, batch: int = 128) -> list[Reading]:
        """What is in each picture."""
        found = []
        for part in torch.split(pictures, batch):
            answer = self(part)
            best = {name: answer[name].argmax(1).tolist() for name in ANSWERS}
            for row, (x, y, radius) in enumerate(answer["numbers"].tolist()):
                said: dict[str, Any] = {name: choices[best[name][row]] for name, choices in ANSWERS.items()}
                found.append(Reading(**said, x=x, y=y, radius=radius))
        return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """What the reader says of a picture; x, y, radius in shares of it."""

    kind: str
    colour: str
    count: int
    ground: str
    time: str
    style: str
    x: float
    y: float
    radius: float

    @property
    def place(self) -> str:
        """The nearest of the painter's places."""

        def away(name: str) -> float:
            x, y = places.PLACES[name][1]
            return (self.x - x) ** 2 + (self.y - y) ** 2

        return min(places.PLACES, key=away)


def seen(pictures: Tensor) -> Tensor:
    """uint8 (n, H, W, 3) of any size -> (n, 3, SIDE, SIDE) in -1..1."""
    return functional.interpolate(pixels(pictures), size=(SIDE, SIDE), mode="area")


def save(reader: Reader, path: Path, notes: dict[str, str]) -> None:
    """Write a reader, a .safetensors."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    state = reader.state_dict()
    tensors = {name: (each.half() if each.is_floating_point() else each).contiguous() for name, each in state.items()}
    save_file(tensors, path, {"widths": ",".join(map(str, reader.widths)), **notes})


def load(path: Path) -> Reader:
    """Read a reader. Raises NotFound and DamagedFile."""
    return sight.filled(path, Reader)
