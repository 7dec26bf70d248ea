"""Whether a control network belongs to a model: told by sizes, in words for the job's remarks."""

from __future__ import annotations

from typing import Any

from modules.loading.loader import Model

from . import marks
from .layouts import Net


def is_unet(model: Model) -> bool:
    """Whether the denoiser is a UNet of diffusers' layout."""
    return hasattr(model.unet, "down_blocks") and hasattr(model.unet, "mid_block")


def obstacle(net: Net, model: Model) -> str:
    """Why it cannot steer this model; "" where it can."""
    own: Any = model.unet.config
    if net.kind == marks.CONTROLNET:
        return _controlnet(net.network.config, own, model)
    if net.kind == marks.T2I:
        return _adapter(net.network, own, model)
    if net.network.fits(model.unet):
        return ""
    return f"the IP-Adapter is for {marks.base_of(net.network.text)}, {_model(model, own)}"


def _controlnet(made: Any, own: Any, model: Model) -> str:
    text, wide = made.cross_attention_dim, own.cross_attention_dim
    attends = any("CrossAttn" in kind for kind in made.down_block_types) or "CrossAttn" in (made.mid_block_type or "")
    same = (not attends or text == wide) and list(made.block_out_channels) == list(own.block_out_channels)
    if same and made.addition_embed_type == own.addition_embed_type:
        return ""
    base = "SDXL" if made.addition_embed_type else marks.base_of(text)
    return f"the ControlNet is for {base} ({_sizes(made)}), {_model(model, own)}"


def _adapter(network: Any, own: Any, model: Model) -> str:
    blocks, xl = list(own.block_out_channels), network.downscale_factor == 16
    channels = list(network.config.channels)
    if channels[: len(blocks)] == blocks and xl == (own.addition_embed_type is not None):
        return ""
    base = "SDXL" if xl else "SD1 or SD2"
    return f"the T2I-Adapter is for {base} (blocks of {_list(channels)} channels), {_model(model, own)}"


def _model(model: Model, own: Any) -> str:
    return f"and {model.checkpoint.short_name} is {model.family.title} ({_sizes(own)}). Take one for that family."


def _sizes(config: Any) -> str:
    return f"text {config.cross_attention_dim} wide, blocks of {_list(config.block_out_channels)} channels"


def _list(numbers: Any) -> str:
    return "/".join(str(number) for number in numbers)
