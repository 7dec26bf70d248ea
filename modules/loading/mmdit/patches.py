"""Latents in patches: transformers see 2 x 2 latent pixels at a time, so both sides must be even."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 2
"""Latent pixels along a side of a patch."""


def even(x: Tensor) -> tuple[Tensor, int, int]:
    """x (B, C, H, W) -> (the same with its last row and column repeated where a side is odd, H, W)."""
    height, width = x.shape[-2:]
    if height % SIDE == 0 and width % SIDE == 0:
        return x, height, width
    return functional.pad(x, (0, width % SIDE, 0, height % SIDE), mode="replicate"), height, width


def packed(x: Tensor) -> Tensor:
    """(B, C, H, W) with even sides -> one token a patch, row by row: (B, H/2 * W/2, C * 4)."""
    batch, channels, height, width = x.shape
    cut = x.reshape(batch, channels, height // SIDE, SIDE, width // SIDE, SIDE)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * SIDE**2)


def unpacked(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `packed`; height, width: even sides in latent pixels."""
    batch, _, size = tokens.shape
    cut = tokens.reshape(batch, height // SIDE, width // SIDE, size // SIDE**2, SIDE, SIDE)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, height, width)


def places(height: int, width: int, device: torch.device) -> Tensor:
    """(0, row, column) of every patch of even sides: (H/2 * W/2, 3)."""
    rows, columns = torch.arange(height // SIDE, device=device), torch.arange(width // SIDE, device=device)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).reshape(-1, 2)
    return functional.pad(grid, (1, 0)).float()
