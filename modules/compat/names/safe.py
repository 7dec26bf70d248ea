"""A1111's `modules.safe`."""

from modules.compat.small import Extra, load, load_with_extra, unsafe_torch_load

__all__ = ["Extra", "load", "load_with_extra", "unsafe_torch_load"]
