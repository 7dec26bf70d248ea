"""A1111's `modules.upscaler`."""

from modules.compat.shared import Scaler as Upscaler
from modules.compat.shared import UpscalerData

__all__ = ["Upscaler", "UpscalerData"]
