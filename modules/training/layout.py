"""The tensors of an SD1 checkpoint from the models that were trained: the inverse of what `loading` reads with.

Names come from `loading.ldm_names`; tests compare them with a genuine file's and read the file back.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from modules.loading import ldm_names


def unet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a UNet2DConditionModel -> names below `model.diffusion_model.`."""
    names = ldm_names.unet(weights)
    return {names[name]: tensor for name, tensor in weights.items()}


def vae(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of an AutoencoderKL -> names below `first_stage_model.`; its attention becomes 1 x 1 convolutions."""
    names = ldm_names.vae(weights)
    named = {}
    for name, tensor in weights.items():
        linear = ".mid.attn_1." in names[name] and tensor.dim() == 2
        named[names[name]] = tensor[:, :, None, None] if linear else tensor
    return named


def text(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a CLIPTextModel -> names below `cond_stage_model.transformer.`, with the position ids of old files."""
    named = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in weights.items()}
    places = len(named["text_model.embeddings.position_embedding.weight"])
    named["text_model.embeddings.position_ids"] = torch.arange(places).expand(1, -1).contiguous()
    return named


def schedule(kept: Tensor) -> dict[str, Tensor]:
    """The numbers of the noise schedule that SD1 files carry (DDPM, eq. 4 and 7); kept (N,): alpha bar."""
    kept = kept.double()
    before = torch.cat([torch.ones(1, dtype=kept.dtype), kept[:-1]])
    betas = 1 - kept / before
    variance = betas * (1 - before) / (1 - kept)
    table = {
        "betas": betas,
        "alphas_cumprod": kept,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": kept.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - kept).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - kept).log(),
        "sqrt_recip_alphas_cumprod": kept.rsqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / kept - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - kept),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - kept),
    }
    return {name: values.float() for name, values in table.items()}
