"""A1111's `modules.paths`."""

from modules.compat.places import *  # noqa: F403
