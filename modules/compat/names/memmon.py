"""A1111's `modules.memmon`."""

from modules.compat.machine import MemUsageMonitor

__all__ = ["MemUsageMonitor"]
