"""The builder of the UNet families: Stable Diffusion 1, 2 and XL in the layout of latent-diffusion checkpoints.

diffusers' own single-file conversion maps the names of UNet and VAE, with a configuration worked out from the shapes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modules.core import process
from modules.core.process import TrainedLevels
from modules.loading import families, open_clip, parts, stated
from modules.loading.configs import clip as clip_config
from modules.loading.configs import unet as unet_config
from modules.loading.configs import vae as vae_config
from modules.loading.family import TextTower
from modules.loading.joined import JoinedEncoder
from modules.loading.parts import Parts, Source
from modules.loading.prediction import Given
from modules.loading.text import TextEncoder, TextModel

LEAST_KEPT = 4.8973451890853435e-08
"""Of the signal's power, at the end of levels that end in noise: see `process.zero_terminal`."""


def build(source: Source) -> Parts:
    """All parts of a checkpoint; what it raises: see `parts.Builder`."""
    denoiser = unet(source)
    predicts = stated.prediction(source.header) or source.family.prediction or probed(denoiser)
    return Parts(
        denoiser=denoiser,
        ask=ask,
        text=text(source),
        autoencoder=autoencoder(source),
        levels=levels(source),
        prediction=predicts,
    )


def ask(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call a `UNet2DConditionModel`. Further input channels, or the embedding of a picture (unCLIP), that it expects
    and that are not given are zeros; such channels that it does not know are left out.
    """
    more: dict[str, Any] = dict(given.more)
    config: Any = denoiser.config
    if missing := config.in_channels - x.shape[1]:
        shown = given.concat if given.concat is not None and given.concat.shape[1] == missing else None
        x = torch.cat([x, x.new_zeros(len(x), missing, *x.shape[2:]) if shown is None else shown.to(x)], dim=1)
    if given.pooled is not None and given.ids is not None:
        more["added_cond_kwargs"] = {"text_embeds": given.pooled.to(x), "time_ids": given.ids.to(x.device)}
    elif config.class_embed_type == "projection":
        more["class_labels"] = x.new_zeros(len(x), config.projection_class_embeddings_input_dim)
    answer: Tensor = denoiser(x, time, encoder_hidden_states=given.context.to(x.dtype), return_dict=False, **more)[0]
    return answer


def probed(denoiser: nn.Module) -> str:
    """What an SD2 UNet predicts, as A1111 finds out: at the noisiest time one that predicts noise gives back what it
    gets, one that predicts velocity does not. Variants with further input channels predict noise.
    """
    config: Any = denoiser.config
    if config.in_channels != 4:
        return "eps"
    weight = next(denoiser.parameters())
    x = torch.full((1, 4, 8, 8), 0.5, device=weight.device, dtype=weight.dtype)
    context = x.new_full((1, 2, config.cross_attention_dim), 0.5)
    with torch.inference_mode():
        answer = ask(denoiser, x, torch.tensor([999], device=x.device), Given(context=context))
    return "v" if float((answer - x).float().mean()) < -1 else "eps"


def levels(source: Source) -> TrainedLevels:
    """Those stored in the file (SD1, SD2), or Stable Diffusion's own; to the end of noise where the file says so."""
    stored = source.weights.get("alphas_cumprod")
    if stored is not None and len(stored) == 1000:
        return process.levels_of_kept(stored.float().clamp(min=LEAST_KEPT))
    usual = process.scaled_linear_levels()
    return process.zero_terminal(usual) if stated.ends_in_noise(source.header) else usual


def text(source: Source) -> TextModel:
    """The text encoders; those of the SDXL line as one."""
    encoders = [TextEncoder(tower(source, facts), source.placement.device, facts) for facts in source.family.towers]
    return JoinedEncoder(*encoders) if encoders[-1].facts.pooled else encoders[0]


def unet(source: Source) -> nn.Module:
    """The UNet, ready to be called."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from modules.loading import attention, upsample

    weights, placement = source.below(families.UNET), source.placement
    config = unet_config.config(parts.shapes(weights), source.family)
    with torch.device("meta"):
        model = UNet2DConditionModel(**config)
    upsample.fit(model)
    attention.install(model)
    prefixed = {families.UNET + name: tensor for name, tensor in weights.items()}
    converted = convert_ldm_unet_checkpoint(prefixed, dict(model.config))
    return parts.filled(
        model,
        converted,
        source.home,
        placement.dtype,
        channels_last=lambda name: placement.channels_last,
        pages=source.pages,
    )


def autoencoder(source: Source) -> nn.Module:
    """The VAE of the checkpoint."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    weights, placement = source.below(families.VAE), source.placement
    with torch.device("meta"):
        model = AutoencoderKL(**vae_config.config(parts.shapes(weights)))
    converted = convert_ldm_vae_checkpoint(dict(weights), dict(model.config))
    # on the CPU, group norm with channels last loses its digits on an even picture, such as the grey of an inpainting
    # model: there the encoder stays contiguous
    apart = "encoder." if source.home.type == "cpu" else ()
    return parts.filled(
        model,
        converted,
        source.home,
        placement.vae_dtype,
        channels_last=lambda name: placement.channels_last and not name.startswith(apart),
        pages=source.pages,
    )


def tower(source: Source, facts: TextTower) -> nn.Module:
    """A CLIP text encoder: a transformers `CLIPTextModel`, with its `text_projection` where that is asked for."""
    from transformers import CLIPTextConfig, CLIPTextModel

    stored = source.below(facts.prefix)
    if facts.layout == "open_clip":
        named = open_clip.converted(stored, projected=facts.pooled)
    else:
        named = {name.removeprefix("text_model."): tensor for name, tensor in stored.items()}
        named.pop("embeddings.position_ids", None)
    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig(**clip_config.config(parts.shapes(named), facts)))
        if facts.pooled:
            wide, narrow = named["text_projection.weight"].shape
            model.text_projection = nn.Linear(narrow, wide, bias=False)
    embeddings = model.embeddings
    places = embeddings.position_ids.shape[-1]
    embeddings.position_ids = torch.arange(places, device=source.home).expand(1, -1)
    return parts.filled(model, named, source.home, source.placement.dtype, pages=source.pages)
