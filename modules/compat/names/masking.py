"""A1111's `modules.masking`."""

from modules.compat.small import expand_crop_region, fill, get_crop_region, get_crop_region_v2

__all__ = ["expand_crop_region", "fill", "get_crop_region", "get_crop_region_v2"]
