"""Self-attention over fewer tokens: those most like a neighbour are merged into it before, and parted again after.

Bolya and Hoffman 2023, "Token Merging for Fast Stable Diffusion" (https://arxiv.org/abs/2303.17604), as A1111 uses it:
at full size and in self-attention only, every token may go into the first one of any square of 2 x 2. `put_on` gives
back a function that takes everything off again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

SQUARE = 2
"""Of each square of this side one token stays what it is."""

_BLOCK = re.compile(r".*\.transformer_blocks\.\d+")


def put_on(unet: nn.Module, ratio: float) -> Callable[[], None]:
    """Merge this share (0..1) of the tokens; networks that have no such blocks stay as they are."""
    picture = _Picture()
    handles: list[Any] = [unet.register_forward_pre_hook(picture.seen)]
    for name, block in unet.named_modules():
        if _BLOCK.fullmatch(name) and isinstance(attention := getattr(block, "attn1", None), nn.Module):
            merged = _Merged(picture, ratio)
            handles.append(block.register_forward_pre_hook(merged.entered))
            handles.append(attention.register_forward_pre_hook(merged.before))
            handles.append(attention.register_forward_hook(merged.after))

    def remove() -> None:
        for handle in handles:
            handle.remove()

    return remove


class _Picture:
    """The size of what the network is looking at."""

    height = width = 0

    def seen(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.height, self.width = inputs[0].shape[-2:]


class _Merged:
    """The hooks of one block: which tokens are alike is told by what goes into the block, before its norm."""

    def __init__(self, picture: _Picture, ratio: float) -> None:
        self._picture = picture
        self._ratio = ratio
        self._match: Match | None = None

    def entered(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        x: Tensor = inputs[0]
        height, width = self._picture.height, self._picture.width
        whole = math.ceil(math.sqrt(height * width // x.shape[1])) <= 1
        self._match = match(x, (height, width), self._ratio) if whole else None

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return None if self._match is None else (merge(inputs[0], self._match), *inputs[1:])

    def after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        found, self._match = self._match, None
        return output if found is None else part(output, found)


class Match(NamedTuple):
    """What becomes of N tokens, as indices (B, n, 1) of tokens: stays; goes, each into the one of `stand` that `into`
    (a place in `stand`) tells.
    """

    stay: Tensor
    goes: Tensor
    into: Tensor
    stand: Tensor


def match(x: Tensor, size: tuple[int, int], ratio: float) -> Match | None:
    """Which of the tokens x (B, H W, C) go where; size (H, W). None where nothing is to be merged."""
    stands = _stands(size, x.device)
    others, stand = (~stands).nonzero()[:, 0], stands.nonzero()[:, 0]
    count = min(len(others), int(x.shape[1] * ratio))
    if count <= 0 or len(stand) == 0:
        return None
    unit = x / x.norm(dim=-1, keepdim=True)
    likeness, nearest = (unit[:, others] @ unit[:, stand].transpose(-1, -2)).max(dim=-1)
    order = likeness.argsort(dim=-1, descending=True)
    goes, stay = order[:, :count], order[:, count:]
    return Match(
        stay=others[stay].unsqueeze(-1),
        goes=others[goes].unsqueeze(-1),
        into=nearest.gather(1, goes).unsqueeze(-1),
        stand=stand.expand(len(x), -1).unsqueeze(-1),
    )


def merge(x: Tensor, found: Match) -> Tensor:
    """(B, N, C) -> (B, N - merged, C): those that stay, then those that stand, each the mean of all it took in."""
    wide = x.shape[-1]
    standing = _taken(x, found.stand)
    mean = standing.scatter_reduce(1, found.into.expand(-1, -1, wide), _taken(x, found.goes), reduce="mean")
    return torch.cat([_taken(x, found.stay), mean], dim=1)


def part(x: Tensor, found: Match) -> Tensor:
    """(B, N - merged, C) -> (B, N, C): what was merged gets what it was merged into."""
    kept = found.stay.shape[1]
    standing = x[:, kept:]
    whole = x.new_empty(len(x), kept + found.goes.shape[1] + standing.shape[1], x.shape[-1])
    for where, what in ((found.stay, x[:, :kept]), (found.stand, standing), (found.goes, _taken(standing, found.into))):
        whole.scatter_(1, where.expand(-1, -1, x.shape[-1]), what)
    return whole


def _taken(x: Tensor, where: Tensor) -> Tensor:
    return x.gather(1, where.expand(-1, -1, x.shape[-1]))


def _stands(size: tuple[int, int], device: torch.device) -> Tensor:
    """(H W,): the first token of each whole square; what is left over at the borders has none."""
    height, width = size
    found = torch.zeros(height, width, dtype=torch.bool, device=device)
    found[: height // SQUARE * SQUARE : SQUARE, : width // SQUARE * SQUARE : SQUARE] = True
    return found.flatten()
