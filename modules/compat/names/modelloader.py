"""A1111's `modules.modelloader`."""

from modules.compat.small import friendly_name, load_file_from_url, load_models

__all__ = ["friendly_name", "load_file_from_url", "load_models"]
