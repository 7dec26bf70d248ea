"""How alike two pictures look: the distance between what the layers of a trained network answer to them.

As LPIPS (Zhang et al. 2018, https://arxiv.org/abs/1801.03924, equation 1, all weights of channels 1), with the
convolutions of a reader of painted pictures (`modules.evaluation.reader`) in place of a network for photographs: a
decoder that is only told to be right on average draws soft edges, and leaves out what is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.core.errors import DamagedFile, NotFound

Network = TypeVar("Network", bound=nn.Module)
TRUNK = "trunk."
"""What the names of the convolutions begin with in a reader's file."""


def trunk(widths: Sequence[int]) -> nn.Sequential:
    """The convolutions of a reader: pictures (n, 3, H, W) in -1..1 -> (n, widths[-1], H / 2^k, W / 2^k) for k widths.

    The first width has one layer, each other two; the first layer of a width halves the sides.
    """
    first, *others = widths
    blocks, before = [_block(3, first, stride=2)], first
    for width in others:
        blocks += [_block(before, width, stride=2), _block(width, width, stride=1)]
        before = width
    return nn.Sequential(*blocks)


def _block(before: int, after: int, *, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.SiLU()
    )


def load(path: Path) -> nn.Sequential:
    """The convolutions of a reader's file, fixed. Raises NotFound and DamagedFile."""
    return filled(path, trunk, TRUNK)


def filled(path: Path, make: Callable[[Sequence[int]], Network], prefix: str = "") -> Network:
    """A network of the widths that a reader's file names, with the file's weights under a prefix, fixed. Raises
    NotFound and DamagedFile.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise NotFound("reader", str(path), hint="Make one with python -m modules.evaluation train.")
    try:
        with safe_open(path, framework="pt") as file:
            made = make(tuple(map(int, file.metadata()["widths"].split(","))))
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            made.load_state_dict({name.removeprefix(prefix): file.get_tensor(name) for name in names})
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DamagedFile(f"{path.name}: not a reader of this painter ({error}).") from error
    return made.eval().requires_grad_(False)


def unlikeness(eyes: nn.Sequential, answer: Tensor, target: Tensor) -> Tensor:
    """Between pictures (n, C, H, W) -> (n,): squares of the difference of each layer's answers, which are scaled to
    length 1 in every place, averaged over places and layers. 0 = they look the same, 2 = nothing in common.
    """
    both, total = torch.cat([answer, target]), answer.new_zeros(len(answer))
    for layer in eyes:
        both = layer(both)
        one, other = functional.normalize(both, dim=1).chunk(2)
        total = total + (one - other).square().sum(1).mean((1, 2))
    return total / len(eyes)
