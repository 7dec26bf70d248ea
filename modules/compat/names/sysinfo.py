"""A1111's `modules.sysinfo`."""

from modules.compat.small import sysinfo

__all__ = ["get"]

get = sysinfo
