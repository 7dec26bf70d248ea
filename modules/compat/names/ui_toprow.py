"""A1111's `modules.ui_toprow`."""

from modules.compat.small import Toprow

__all__ = ["Toprow"]
