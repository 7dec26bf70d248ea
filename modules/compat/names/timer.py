"""A1111's `modules.timer`."""

from modules.compat.small import Timer, TimerSubcategory, startup_timer

__all__ = ["Timer", "TimerSubcategory", "startup_timer"]
