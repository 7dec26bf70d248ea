"""A1111's `modules.styles`."""

from modules.compat.shared import PromptStyle, StyleDatabase

__all__ = ["PromptStyle", "StyleDatabase"]
