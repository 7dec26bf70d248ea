"""A1111's `modules.shared_items`."""

from modules.compat.checkpoints import list_models as refresh_checkpoints
from modules.compat.checkpoints import list_titles as list_checkpoint_tiles
from modules.compat.checkpoints import refresh_vae_list, sd_vae_items
from modules.compat.small import list_crossattention_optimizers, list_samplers, realesrgan_models_names, sd_unet_items

__all__ = [
    "list_checkpoint_tiles",
    "list_crossattention_optimizers",
    "list_samplers",
    "realesrgan_models_names",
    "refresh_checkpoints",
    "refresh_vae_list",
    "sd_unet_items",
    "sd_vae_items",
]
