"""A1111's `modules.ui_postprocessing`."""

from modules.compat.small import create_extras_ui as create_ui

__all__ = ["create_ui"]
