"""Self-attention in tiles, for large pictures: each tile looks at itself alone, which is quicker the larger the whole.

tfernd's HyperTile (https://github.com/tfernd/HyperTile) as A1111 has it built in: how many tiles there are is drawn at
every layer anew, so that seams move. `put_on` gives back a function that takes everything off again.
"""

from __future__ import annotations

import dataclasses
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, nn

SMALLEST = 128
"""Pixels: tiles are not made smaller."""

_UNET = re.compile(r"(down|up|mid)_block(?:s\.(\d))?\.attentions\.\d\.transformer_blocks\.(\d)\.attn1")
_DECODER = "decoder.mid_block.attentions.0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut:
    """How to cut. size: of the picture (width, height); largest: a tile's side in pixels at most; choices: numbers of
    tiles to draw from; depth: layers up to this one are cut (0: those at full size, … 3: all).
    """

    size: tuple[int, int]
    largest: int
    choices: int
    depth: int

    @property
    def side(self) -> int:
        """A tile's side in pixels: the largest power of two that divides both sides of the picture, within bounds."""
        both = math.gcd(*self.size)
        return max(SMALLEST, min(both & -both, self.largest))


def put_on_unet(unet: nn.Module, cut: Cut, chance: random.Random) -> Callable[[], None]:
    """Cut the self-attention of a UNet; other networks have no such layers and stay as they are."""
    return _put_on(((layer, depth) for layer, depth in layers(unet) if depth <= cut.depth), cut, chance)


def put_on_decoder(vae: nn.Module, cut: Cut, chance: random.Random) -> Callable[[], None]:
    """Cut the one attention of a VAE's decoder."""
    found = [module for name, module in vae.named_modules() if name == _DECODER]
    return _put_on(((module, 0) for module in found), cut, chance)


def layers(unet: nn.Module) -> Iterator[tuple[nn.Module, int]]:
    """The self-attention layers that can be cut, each with its depth. Where the first level has none (SDXL), depth
    counts from the second and through its transformers.
    """
    named = [(found, module) for name, module in unet.named_modules() if (found := _UNET.fullmatch(name))]
    shallow = any(found[1] == "down" and found[2] == "0" for found, _ in named)
    for found, module in named:
        depth = _depth(found) if shallow else _depth_of_xl(found)
        if depth is not None:
            yield module, depth


def _depth(found: re.Match[str]) -> int | None:
    if found[3] != "0":
        return None
    return 3 if found[1] == "mid" else int(found[2]) if found[1] == "down" else 3 - int(found[2])


def _depth_of_xl(found: re.Match[str]) -> int | None:
    if found[1] == "mid":
        return 2
    if f"{found[1]}{found[2]}" in ("down1", "up1"):
        return int(found[3]) if found[3] in "01" else None
    return 1


def _put_on(parts: Iterable[tuple[nn.Module, int]], cut: Cut, chance: random.Random) -> Callable[[], None]:
    handles: list[Any] = []
    for module, depth in parts:
        tiled = _Tiled(cut, depth, chance)
        handles.append(module.register_forward_pre_hook(tiled.before))
        handles.append(module.register_forward_hook(tiled.after))

    def remove() -> None:
        for handle in handles:
            handle.remove()

    return remove


class _Tiled:
    """The hooks of one layer: cut what goes in, join what comes out."""

    def __init__(self, cut: Cut, depth: int, chance: random.Random) -> None:
        self._cut = cut
        self._depth = depth
        self._chance = chance
        self._grid = (1, 1)
        self._shape = (0, 0)

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x: Tensor = inputs[0]
        least = self._cut.side // 8
        if x.ndim == 4:
            self._shape = (x.shape[2], x.shape[3])
        else:
            width, height = self._cut.size
            self._shape = proportioned(x.shape[1], width / height)
            least <<= self._depth
        first, second = self._shape
        self._grid = (tiles(first, least, self._cut.choices, self._chance), 1)
        self._grid = (self._grid[0], tiles(second, least, self._cut.choices, self._chance))
        return (apart(x, self._grid, self._shape), *inputs[1:])

    def after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return together(output, self._grid, self._shape)


def apart(x: Tensor, grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """(B, H W, C) or (B, C, H, W) with shape (H, W) -> the same with B times as many as the grid has tiles."""
    if grid == (1, 1):
        return x
    (rows, columns), (height, width) = grid, (shape[0] // grid[0], shape[1] // grid[1])
    if x.ndim == 4:
        square = x.reshape(len(x), -1, rows, height, columns, width)
        return square.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).contiguous()
    line = x.reshape(len(x), rows, height, columns, width, -1)
    return line.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def together(x: Tensor, grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """The inverse of `apart`."""
    if grid == (1, 1):
        return x
    (rows, columns), (height, width) = grid, (shape[0] // grid[0], shape[1] // grid[1])
    if x.ndim == 4:
        square = x.reshape(-1, rows, columns, x.shape[1], height, width)
        return square.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    line = x.reshape(-1, rows, columns, height, width, x.shape[-1])
    return line.transpose(2, 3).flatten(1, 4)


def tiles(length: int, least: int, choices: int, chance: random.Random) -> int:
    """Into how many equal parts of at least `least` a length is cut: one of the `choices` greatest numbers, drawn."""
    sides = [side for side in range(min(least, length), length + 1) if length % side == 0]
    numbers = [length // side for side in sides[: max(1, choices)]]
    return numbers[chance.randint(0, len(numbers) - 1)]


def proportioned(count: int, ratio: float) -> tuple[int, int]:
    """(first, second) whose product is `count` and whose quotient is nearest to `ratio`, found as A1111 does; it hands
    in width / height, so that tiles of what is not square lie across.
    """
    first, second = round(math.sqrt(count * ratio)), round(math.sqrt(count / ratio))
    if first * second == count:
        return first, second
    if first and count % first == 0:
        return first, count // first
    if second and count % second == 0:
        return count // second, second
    pairs = [(side, count // side) for side in range(2, count + 1) if count % side == 0]
    return min(pairs, key=lambda pair: abs(pair[1] / pair[0] - ratio))
