"""A1111's `modules.sd_hijack_unet`."""

import torch

__all__ = ["th"]

th = torch
