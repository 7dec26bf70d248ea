"""The arithmetic of merging, tensor by tensor, in float32 whatever the files hold."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_sum(a: Tensor, b: Tensor, multiplier: float) -> Tensor:
    """A (1 - M) + B M -> float32. Where a has further input channels, an inpainting model's, those stay as they are."""
    return _with_the_rest(a, ((1 - multiplier) * _shared(a, b)).add_(b.float(), alpha=multiplier))


def add_difference(a: Tensor, b: Tensor, c: Tensor, multiplier: float) -> Tensor:
    """A + M (B - C) -> float32; b and c are of one shape. Further input channels: as in `weighted_sum`."""
    return _with_the_rest(a, (b.float() - c.float()).mul_(multiplier).add_(_shared(a, b)))


def _shared(a: Tensor, b: Tensor) -> Tensor:
    """a without the input channels (dimension 1) that b lacks."""
    return (a if a.shape == b.shape else a[:, : b.shape[1]]).float()


def _with_the_rest(a: Tensor, merged: Tensor) -> Tensor:
    return merged if merged.shape == a.shape else torch.cat([merged, a[:, merged.shape[1] :].float()], dim=1)
