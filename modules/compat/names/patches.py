"""A1111's `modules.patches`."""

from modules.compat.small import original, originals, patch, undo

__all__ = ["original", "originals", "patch", "undo"]
