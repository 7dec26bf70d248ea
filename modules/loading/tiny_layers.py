"""The layers of tiny autoencoders, from what a file holds of each: TAESD's and its kin's, and those of TAEHV, made for
videos, which know one picture as a video of one moment. Called by `tiny`.

TAEHV (https://github.com/madebyollin/taehv): its blocks see the moment before as well, "grow" layers make several
moments of one and "pool" layers one of several. Moments are the first axis here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.core.errors import DamagedFile

Layers: TypeAlias = "Mapping[int, Mapping[str, Tensor]]"
"""Place -> the layer's tensors, as the original counts; those without numbers are not in it."""

POOLED = 4
"""How many times as wide a block's pool is as the block, and its groups."""
MOMENTS = "conv.weight"
"""The one tensor of a layer that changes the number of moments."""


def network(layers: Layers, path: Path, *, widths: tuple[int, int], decodes: bool) -> nn.Module:
    """The layers in their places; widths: channels that come in and go out. Raises DamagedFile."""
    video = any(MOMENTS in own for own in layers.values())
    layer = _of_video if video else _of_picture
    with torch.device("meta"):
        made = [layer(layers, place, decodes) for place in range(max(layers, default=-1) + 1)]
        whole = nn.Sequential(*made)
    state = {f"{place}.{name}": tensor for place, own in layers.items() for name, tensor in own.items()}
    try:
        whole.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DamagedFile(f"{path.name}: not a tiny autoencoder ({reason}).") from error
    ends = [each for each in made if isinstance(each, nn.Conv2d)]
    halvings = sum(isinstance(each, nn.Upsample) for each in made) + sum(each.stride[0] == 2 for each in ends)
    if not ends or (ends[0].in_channels, ends[-1].out_channels) != widths or halvings != 3:
        raise DamagedFile(f"{path.name}: not a tiny autoencoder for latents of {max(widths)} channels.")
    moments = math.prod(each.moments for each in made if isinstance(each, _Pool))
    return (_Still(whole, moments) if video else whole).eval().requires_grad_(False)


def _of_picture(layers: Layers, place: int, decodes: bool) -> nn.Module:
    """Without numbers are the clamp at 0 of a decoder, a rectifier at 2, and enlargements."""
    own = layers.get(place)
    if own is None:
        return _Clamp() if place == 0 else nn.ReLU() if place == 2 else nn.Upsample(scale_factor=2)
    if "conv.0.weight" not in own:
        return _convolution(own, decodes)
    after, before = own["conv.0.weight"].shape[:2]
    return _Block(before, after, pool="pool.0.weight" in own)


def _of_video(layers: Layers, place: int, decodes: bool) -> nn.Module:
    """Without numbers are the clamp at 0 of a decoder, enlargements right before moments grow, and rectifiers."""
    own = layers.get(place)
    if own is None:
        enlarges = decodes and MOMENTS in layers.get(place + 1, {})
        return _Clamp() if place == 0 else nn.Upsample(scale_factor=2) if enlarges else nn.ReLU()
    if "conv.0.weight" in own:
        after, before = own["conv.0.weight"].shape[:2]
        return _Remembering(before // 2, after)
    if MOMENTS not in own:
        return _convolution(own, decodes)
    after, before = own[MOMENTS].shape[:2]
    return _Grow(before, after // before) if decodes else _Pool(after, before // after)


def _convolution(own: Mapping[str, Tensor], decodes: bool) -> nn.Module:
    """In an encoder one without bias halves the picture."""
    if "weight" not in own:
        return nn.Identity()  # whose tensors are then said to be unexpected
    after, before = own["weight"].shape[:2]
    biased = "bias" in own
    return _conv(before, after, bias=biased, stride=1 if decodes or biased else 2)


def _conv(before: int, after: int, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, **more)


def _three(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_conv(before, after), nn.ReLU(), _conv(after, after), nn.ReLU(), _conv(after, after))


def _way_around(before: int, after: int) -> nn.Module:
    return nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)


class _Clamp(nn.Module):
    """Softly to -3..3: what the decoder was trained on."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class _Block(nn.Module):
    """Three convolutions beside a way around them; with a pool, the picture as a whole has its say before (TAEF2)."""

    def __init__(self, before: int, after: int, *, pool: bool) -> None:
        super().__init__()
        self.conv = _three(before, after)
        self.skip = _way_around(before, after)
        wide = before * POOLED
        layers = (nn.Conv2d(before, wide, 1, bias=False), nn.GroupNorm(POOLED, wide), nn.ReLU())
        self.pool = nn.Sequential(*layers, nn.Conv2d(wide, before, 1, bias=False)) if pool else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return functional.relu(self.conv(x) + self.skip(x))


class _Remembering(nn.Module):
    """A block that sees (T, C, H, W) and beside each moment the one before, of which the first has none (zeros)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = _three(2 * before, after)
        self.skip = _way_around(before, after)

    def forward(self, x: Tensor) -> Tensor:
        past = functional.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:-1]
        return functional.relu(self.conv(torch.cat((x, past), dim=1)) + self.skip(x))


class _Grow(nn.Module):
    """(T, C, H, W) -> (T * moments, C, H, W)."""

    def __init__(self, width: int, moments: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width * moments, 1, bias=False)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        grown: Tensor = self.conv(x)
        return grown.reshape(-1, self.width, *x.shape[-2:])


class _Pool(nn.Module):
    """(T * moments, C, H, W) -> (T, C, H, W)."""

    def __init__(self, width: int, moments: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width * moments, width, 1, bias=False)
        self.moments = moments

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.conv(x.reshape(-1, self.moments * x.shape[1], *x.shape[-2:]))
        return pooled


class _Still(nn.Module):
    """(1, C, H, W) -> (1, C', H', W'): a video of one picture, held for `moments`; its last moment is the answer."""

    def __init__(self, video: nn.Module, moments: int) -> None:
        super().__init__()
        self.video = video
        self.moments = moments

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.video(x.expand(self.moments, -1, -1, -1))
        return made[-1:]
