"""A1111's `modules.hypernetworks.hypernetwork`."""

from modules.compat.small import list_hypernetworks

__all__ = ["list_hypernetworks", "load_hypernetworks"]


def load_hypernetworks(names, multipliers=None):
    """Put <hypernet:name:weight> into the prompt instead."""
