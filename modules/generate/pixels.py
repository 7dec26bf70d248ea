"""Between latents and pixels: a model's VAE or the tiny one that the user prefers, and how the infotext tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from modules.core.errors import EaselError
from modules.generate.plan import Plan
from modules.generate.studio import Studio
from modules.loading.loader import Model


def decoder(studio: Studio, model: Model, work: Plan) -> Callable[[Tensor], Tensor]:
    """Latent (C, H, W) -> pixels (3, 8H, 8W) in 0..1. Raises EaselError where the tiny one is not there."""
    if work.options["sd_vae_decode_method"] != "TAESD":
        return model.vae.decode
    found = studio.tiny.decode_with(
        model.family, model.checkpoint.short_name, model.placement.device, seamless=work.tiling
    )
    if found is None:
        raise EaselError(f"sd_vae_decode_method is TAESD. {studio.tiny.wanted('decoder', model.family)}")
    return found


def encoder(studio: Studio, model: Model, work: Plan) -> Callable[[Tensor], Tensor]:
    """Pixels (3, H, W) in 0..1 -> latent (C, H/8, W/8). Raises EaselError where the tiny one is not there."""
    if work.options["sd_vae_encode_method"] != "TAESD":
        return model.vae.encode
    found = studio.tiny.encode_with(
        model.family, model.checkpoint.short_name, model.placement.device, seamless=work.tiling
    )
    if found is None:
        raise EaselError(f"sd_vae_encode_method is TAESD. {studio.tiny.wanted('encoder', model.family)}")
    return found


def decoder_note(work: Plan) -> dict[str, Any]:
    way = work.options["sd_vae_decode_method"]
    return {} if way == "Full" else {"VAE Decoder": way}


def encoder_note(work: Plan) -> dict[str, Any]:
    way = work.options["sd_vae_encode_method"]
    return {} if way == "Full" else {"VAE Encoder": way}
