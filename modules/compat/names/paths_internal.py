"""A1111's `modules.paths_internal`."""

from modules.compat.places import *  # noqa: F403
