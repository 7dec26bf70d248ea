"""A1111's `modules.errors`."""

from modules.compat.reports import *  # noqa: F403
