"""A1111's `modules.sd_vae`."""

from modules.compat.checkpoints import (
    find_vae_near_checkpoint,
    load_vae_dict,
    refresh_vae_list,
    reload_vae_weights,
)


def __getattr__(name):
    from modules.compat import checkpoints, places

    if name == "vae_dict":
        return checkpoints.vae_dict()
    if name == "vae_path":
        return places.vae_path
    if name in ("base_vae", "loaded_vae_file", "checkpoint_info"):
        return None  # each model keeps its own VAE; see shared.sd_model
    raise AttributeError(f"modules.sd_vae has no {name}")


__all__ = ["find_vae_near_checkpoint", "load_vae_dict", "refresh_vae_list", "reload_vae_weights"]
