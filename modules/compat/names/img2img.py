"""A1111's `modules.img2img`."""

from modules.compat.entrances import img2img, process_batch

__all__ = ["img2img", "process_batch"]
