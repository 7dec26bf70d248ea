"""A UNet asked tile by tile: what tiles say where they overlap is averaged.

MultiDiffusion (Bar-Tal et al. 2023, https://arxiv.org/abs/2302.08113): every tile counts alike. Mixture of Diffusers
(Barbero Jiménez 2023, https://arxiv.org/abs/2302.02412): by a bell over each tile, 1 in its middle. The clean guess and
the step to the next level are linear in what the network says, so averaging that averages those.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from modules.core.errors import BadRequest
from modules.generate.moments import Sampled, Sampling

VARIANCE = 0.01
"""Of the bell, in squared lengths of a tile (Mixture of Diffusers' own code)."""
MAPS = (
    *("down_block_additional_residuals", "mid_block_additional_residual"),
    "down_intrablock_additional_residuals",
)
"""Arguments of diffusers' UNets that are maps over the picture."""

Forward = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Box:
    """A tile: rows top..bottom and columns left..right of the latents, ends left out."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, maps: Tensor, height: int) -> Tensor:
        """This part of maps (B, C, H', W') over latents that are `height` high. Raises BadRequest for maps whose places
        do not lie evenly in the tile.
        """
        shrunk = height // maps.shape[-2]
        sides = (self.top, self.bottom, self.left, self.right)
        if maps.shape[-2] * shrunk != height or any(side % shrunk for side in sides):
            message = "Tiled diffusion with ControlNet or an adapter: width and height must be multiples of 64."
            raise BadRequest(message, field="Tiled diffusion")
        top, bottom, left, right = (side // shrunk for side in sides)
        return maps[..., top:bottom, left:right]


class TiledDiffusion:
    """The listeners of one job."""

    def __init__(self, values: Mapping[str, Any], studio: object, request: object) -> None:
        self._values = values
        self._undo: list[Callable[[], None]] = []

    def sampling(self, event: Sampling) -> None:
        """Tiles from here on. Raises BadRequest for a model that is no UNet."""
        unet: Any = event.model.unet
        if not hasattr(unet, "up_blocks"):
            message = "Tiled diffusion works on UNets (SD1, SD2, SDXL): switch it off for this model."
            raise BadRequest(message, field="Tiled diffusion")
        self.close()
        unet.forward = tiled(unet.forward, self._values)
        self._undo.append(lambda: delattr(unet, "forward"))

    def sampled(self, event: Sampled) -> None:
        self.close()

    def close(self) -> None:
        while self._undo:
            self._undo.pop()()


def tiled(forward: Forward, values: Mapping[str, Any]) -> Forward:
    """forward(sample (B, C, H, W), …) -> the same over tiles. Where one tile covers all nothing is changed."""

    def call(sample: Tensor, *others: Any, **named: Any) -> Any:
        height, width = sample.shape[-2:]
        boxes = list(tiles(height, width, values))
        if len(boxes) == 1:
            return forward(sample, *others, **named)
        named = {**named, "return_dict": False}
        shares = weights(boxes, height, width, bell=values["method"] == "Mixture of Diffusers")
        total: Tensor | None = None
        for first in range(0, len(boxes), values["batch"]):
            some = boxes[first : first + values["batch"]]
            answers = forward(*_together(sample, others, some), **_named(named, some, len(sample), height))[0]
            if total is None:
                total = answers.new_zeros(len(sample), answers.shape[1], height, width, dtype=torch.float32)
            for number, (box, answer) in enumerate(zip(some, answers.split(len(sample)), strict=True)):
                share = shares[first + number].to(answer.device)
                total[..., box.top : box.bottom, box.left : box.right] += answer.float() * share
        assert total is not None
        return (total.to(sample.dtype),)

    return call


def tiles(height: int, width: int, values: Mapping[str, Any]) -> Iterator[Box]:
    """Tiles that cover height x width, each sharing `overlap` or more with the next (8 apart at least)."""
    tall, wide = min(values["height"], height), min(values["width"], width)
    for top in starts(height, tall, values["overlap"]):
        for left in starts(width, wide, values["overlap"]):
            yield Box(top, top + tall, left, left + wide)


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where as few tiles as cover the length begin, evenly spread at multiples of 8, the last at its end."""
    if tile >= length:
        return [0]
    step = max(8, (tile - min(overlap, tile - 1)) // 8 * 8)
    count = math.ceil((length - tile) / step) + 1
    spread = [round((length - tile) * number / (count - 1) / 8) * 8 for number in range(count - 1)]
    even = [*spread, length - tile]
    if all(after - before <= step for before, after in itertools.pairwise(even)):
        return even
    return [*range(0, length - tile, step), length - tile]


def weights(boxes: Sequence[Box], height: int, width: int, *, bell: bool) -> list[Tensor]:
    """For each tile the share (h, w) that it has in each of its places; they sum to 1 over the tiles of a place."""
    raw = [_bell(box) if bell else torch.ones(box.bottom - box.top, box.right - box.left) for box in boxes]
    total = torch.zeros(height, width, dtype=torch.float64)
    for box, weight in zip(boxes, raw, strict=True):
        total[box.top : box.bottom, box.left : box.right] += weight
    return [
        (weight / total[box.top : box.bottom, box.left : box.right]).float()
        for box, weight in zip(boxes, raw, strict=True)
    ]


def _bell(box: Box) -> Tensor:
    """A Gaussian over a tile (h, w), in double precision: 1 in its middle, above 0 everywhere."""
    down, across = (_curve(length) for length in (box.bottom - box.top, box.right - box.left))
    return torch.outer(down, across)


def _curve(length: int) -> Tensor:
    places = (torch.arange(length, dtype=torch.float64) - (length - 1) / 2) / length
    return torch.exp(-(places**2) / (2 * VARIANCE))


def _together(sample: Tensor, others: Sequence[Any], boxes: Sequence[Box]) -> list[Any]:
    """The positional arguments for these tiles as one batch."""
    parts = [sample[..., box.top : box.bottom, box.left : box.right] for box in boxes]
    return [torch.cat(parts), *(_repeated(each, len(sample), len(boxes)) for each in others)]


def _named(named: Mapping[str, Any], boxes: Sequence[Box], rows: int, height: int) -> dict[str, Any]:
    """The named arguments for these tiles as one batch."""
    return {
        name: _cut(value, boxes, height) if name in MAPS else _repeated(value, rows, len(boxes))
        for name, value in named.items()
    }


def _cut(value: Any, boxes: Sequence[Box], height: int) -> Any:
    """Maps (B, C, H', W'), alone or in a list or tuple, cut to the tiles."""
    if isinstance(value, list | tuple):
        return type(value)(_cut(each, boxes, height) for each in value)
    return torch.cat([box.of(value, height) for box in boxes]) if isinstance(value, Tensor) else value


def _repeated(value: Any, rows: int, times: int) -> Any:
    """Whatever has a row for each of the batch, as often as there are tiles."""
    if isinstance(value, Mapping):
        return {name: _repeated(each, rows, times) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_repeated(each, rows, times) for each in value)
    if isinstance(value, Tensor) and value.dim() and len(value) == rows:
        return torch.cat([value] * times)
    return value
