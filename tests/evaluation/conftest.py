"""The tiny trained model."""

from __future__ import annotations

from tests.training.trained import checkpoint, run

__all__ = ["checkpoint", "run"]
