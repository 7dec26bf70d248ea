"""A1111's `modules.extras`."""

from modules.compat.small import create_config, run_modelmerger, run_pnginfo

__all__ = ["create_config", "run_modelmerger", "run_pnginfo"]
