"""A1111's `modules.script_loading`."""

from modules.compat.small import load_module

__all__ = ["load_module"]
