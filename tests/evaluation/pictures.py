"""Painted pictures as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from modules.training.painter.picture import paint
from modules.training.painter.scene import Scene


def stacked(scenes: Sequence[Scene], size: int) -> torch.Tensor:
    """uint8 (n, size, size, 3)."""
    return torch.stack([torch.from_numpy(np.array(paint(scene, size))) for scene in scenes])
