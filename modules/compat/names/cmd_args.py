"""A1111's `modules.cmd_args`."""

from modules.compat.small import parser

__all__ = ["parser"]
