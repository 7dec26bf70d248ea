"""A1111's `modules.rng`."""

from modules.compat.machine import randn
from modules.compat.model import ImageRNG
from modules.core.noise import slerp

__all__ = ["ImageRNG", "randn", "slerp"]
