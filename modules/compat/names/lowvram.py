"""A1111's `modules.lowvram`."""

from modules.compat.machine import is_enabled, send_everything_to_cpu, setup_for_low_vram

__all__ = ["apply", "cpu", "is_enabled", "is_needed", "module_in_gpu", "send_everything_to_cpu", "setup_for_low_vram"]

module_in_gpu = None
cpu = "cpu"
is_needed = is_enabled


def apply(sd_model):
    """Residency is chosen at the start."""
