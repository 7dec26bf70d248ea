"""DeepDanbooru (Kichang Kim), a ResNet that gives pictures tags, in the layout of the file that A1111 uses:
convolutions `n_Conv_0` … `n_Conv_178` in the order in which they are counted, and "tags", the names of its answers.

Bottlenecks of 1x1, 3x3, 1x1 (He et al. 2015, https://arxiv.org/abs/1512.03385) without norms; the padding is
TensorFlow's: what is uneven lies right and below.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.core.errors import DamagedFile
from modules.loading.pickles import unpickled

SIDE = 512
STAGES = ((64, 3, 1), (128, 8, 2), (256, 20, 2), (256, 20, 2), (512, 3, 2), (1024, 3, 2))
"""Width inside, blocks, stride of the first block."""
BEHIND = 3
"""In this stage the shortcut's convolution is counted behind those of its block, in the others before."""


class Block(nn.Module):
    """x (B, in, H, W) -> (B, 4 * width, H / stride, W / stride)."""

    def __init__(self, inside: int, width: int, stride: int, *, shortcut: bool) -> None:
        super().__init__()
        self.stride = stride
        self.down = nn.Conv2d(inside, width, 1)
        self.across = nn.Conv2d(width, width, 3, stride=stride)
        self.up = nn.Conv2d(width, 4 * width, 1)
        self.shortcut = nn.Conv2d(inside, 4 * width, 1, stride=stride) if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        sides = (1, 1, 1, 1) if self.stride == 1 else (0, 1, 0, 1)
        narrow = functional.relu(self.down(x))
        narrow = functional.relu(self.across(functional.pad(narrow, sides)))
        return functional.relu(self.up(narrow) + (x if self.shortcut is None else self.shortcut(x)))


class DeepDanbooru(nn.Module):
    """x (B, 3, H, W) in 0..1 -> how likely each tag is (B, tags)."""

    def __init__(self, tags: int, stages: tuple[tuple[int, int, int], ...] = STAGES) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 7, stride=2)
        self.stages = nn.ModuleList()
        inside = 64
        for width, blocks, stride in stages:
            made = []
            for number in range(blocks):
                made.append(Block(inside, width, stride if number == 0 else 1, shortcut=number == 0))
                inside = 4 * width
            self.stages.append(nn.ModuleList(made))
        self.last = nn.Conv2d(inside, tags, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first(functional.pad(x, (2, 3, 2, 3))))
        x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, 2)
        for stage in self.stages:
            for block in stage:  # type: ignore[attr-defined]
                x = block(x)
        return torch.sigmoid(self.last(x).mean(dim=(2, 3)))

    def counted(self) -> Iterator[nn.Conv2d]:
        """Its convolutions as the file counts them."""
        yield self.first
        for number, stage in enumerate(self.stages):
            for block in stage:  # type: ignore[attr-defined]
                own = [block.down, block.across, block.up]
                shortcut = [block.shortcut] if block.shortcut is not None else []
                yield from own + shortcut if number == BEHIND else shortcut + own
        yield self.last


def read(path: Path) -> tuple[DeepDanbooru, list[str]]:
    """(the network, its tags). Raises DamagedFile."""
    data: Any = unpickled(path)
    try:
        tags = [str(tag) for tag in data["tags"]]
        with torch.device("meta"):
            network = DeepDanbooru(len(tags))
        names = {f"n_Conv_{number}": convolution for number, convolution in enumerate(network.counted())}
        for name, convolution in names.items():
            given = {key: data[f"{name}.{key}"].float() for key, _ in convolution.named_parameters()}
            convolution.load_state_dict(given, assign=True)
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise DamagedFile(f"{path.name}: not a DeepDanbooru model ({str(error).splitlines()[0]}).") from error
    return network.eval().requires_grad_(False), tags
