"""A1111's `modules.api.models`."""

from modules.compat.bodies import *  # noqa: F403
