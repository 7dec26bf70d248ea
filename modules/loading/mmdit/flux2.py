"""Flux.2 dev and klein (Black Forest Labs 2025): sizes from shapes, names, how it is called, the builder.

Against Flux.1: one modulation for all blocks of a kind, a language model's states at three depths for the text, 32
latent channels that are normalised in patches. dev reads with Mistral and is told a guidance scale, klein with Qwen 3.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.core.process import RectifiedFlow, flow_levels
from modules.loading import parts
from modules.loading.configs import vae as vae_config
from modules.loading.configs.unet import Shapes
from modules.loading.mmdit import causal, encoders, flux, names, patches, quantized
from modules.loading.mmdit.flux2_text import DEV, KLEIN, Flux2Text
from modules.loading.mmdit.names import Rule, rule, swapped, thirds
from modules.loading.mmdit.stills import Patched
from modules.loading.parts import Parts, Source, Weights
from modules.loading.prediction import TICKS, Given

DEPTHS = 3
"""Depths of the language model whose states lie side by side."""


def build(source: Source) -> Parts:
    """All parts; encoder and VAE may lie in files beside the checkpoint. What it raises: see `parts.Builder`."""
    weights = quantized.denoiser(source, "double_blocks.")
    denoiser = transformer(weights, source)
    sizes: Any = denoiser.config
    width, dev = sizes.joint_attention_dim // DEPTHS, sizes.guidance_embeds
    decoder = encoders.decoder(source, causal.MISTRAL3 if dev else causal.QWEN3, width, normed=False)
    return Parts(
        denoiser=denoiser,
        ask=ask,
        text=Flux2Text(decoder, DEV if dev else KLEIN, device=source.placement.device),
        autoencoder=autoencoder(source),
        levels=flow_levels(stretch(1024, 1024, 50), stretch=stretch),
        process=RectifiedFlow(),
        prediction="flow",
        rules=RULES,
    )


def ask(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call a `Flux2Transformer2DModel`; time 0..1000. given.ids (B, 1): the guidance scale that dev is told."""
    even, height, width = patches.even(x)
    rows, columns = even.shape[-2:]
    tokens = torch.arange(given.context.shape[1], device=x.device).unsqueeze(-1)
    guidance = torch.full_like(time, flux.GUIDANCE) if given.ids is None else given.ids[:, 0].to(time)
    answer: Tensor = denoiser(
        hidden_states=patches.packed(even),
        encoder_hidden_states=given.context.to(x.dtype),
        timestep=time / TICKS,
        guidance=guidance if denoiser.config.guidance_embeds else None,  # type: ignore[union-attr]
        img_ids=functional.pad(patches.places(rows, columns, x.device), (0, 1)),
        txt_ids=functional.pad(tokens, (3, 0)).float(),
        return_dict=False,
    )[0]
    return patches.unpacked(answer, rows, columns)[..., :height, :width]


def stretch(width: int, height: int, steps: int) -> float:
    """The shift, exp(mu): mu is a line over the number of patches for 10 steps and one for 200, and between them one
    over the steps; above 4300 patches it is that for 200.
    """
    count = (width // 16) * (height // 16)
    few, many = 8.73809524e-05 * count + 1.89833333, 0.00016927 * count + 0.45666666
    return math.exp(many if count > 4300 else many + (many - few) / 190 * (steps - 200))


def transformer(weights: Weights, source: Source) -> nn.Module:
    """The denoiser, ready to be called."""
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

    with torch.device("meta"):
        model = Flux2Transformer2DModel(**config(parts.shapes(weights)))
    return parts.filled(model, names.translated(weights, RULES), source.home, source.placement.dtype)


def autoencoder(source: Source) -> nn.Module:
    """The VAE, with its batch norm's statistics."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2

    found = encoders.vae_weights(source, avoid="flux1")
    weights = {name.removeprefix("encoder.").removeprefix("decoder.") if "quant_conv" in name else name: tensor
               for name, tensor in found.items()}  # fmt: skip
    statistics = {name: tensor for name, tensor in weights.items() if name.startswith("bn.")}
    rest = {name: tensor for name, tensor in weights.items() if name not in statistics}
    with torch.device("meta"):
        model = AutoencoderKLFlux2(**vae_config.config(parts.shapes(rest)))
    converted = convert_ldm_vae_checkpoint(rest, dict(model.config)) | statistics
    converted.setdefault("bn.num_batches_tracked", torch.zeros(()))
    return Patched(parts.filled(model, converted, source.home, source.placement.vae_dtype))


def config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for Flux2Transformer2DModel. Raises KeyError."""
    width = shapes["img_in.weight"][0]
    head = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
    inner = shapes["double_blocks.0.img_mlp.2.weight"][1]
    return {
        **flux.common(shapes),
        "timestep_guidance_channels": shapes["time_in.in_layer.weight"][1],
        "mlp_ratio": (inner + 0.5) / width,  # diffusers cuts off what is behind the point
        "axes_dims_rope": (head // 4,) * 4,
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
    }


_DOUBLE, _NEW = "double_blocks.*.", "transformer_blocks.*."
_SINGLE, _NEW_SINGLE = "single_blocks.*.", "single_transformer_blocks.*."


def _double(side: str, ending: str, added: str, parts_: tuple[str, ...], out: str) -> tuple[Rule, ...]:
    return (
        rule(f"{_DOUBLE}{side}_attn.qkv.*", *(f"{_NEW}attn.{part}.*" for part in parts_), cut=thirds),
        rule(f"{_DOUBLE}{side}_attn.norm.query_norm.scale", f"{_NEW}attn.norm_{added}q.weight"),
        rule(f"{_DOUBLE}{side}_attn.norm.key_norm.scale", f"{_NEW}attn.norm_{added}k.weight"),
        rule(f"{_DOUBLE}{side}_attn.proj.*", f"{_NEW}attn.{out}.*"),
        rule(f"{_DOUBLE}{side}_mlp.0.*", f"{_NEW}ff{ending}.linear_in.*"),
        rule(f"{_DOUBLE}{side}_mlp.2.*", f"{_NEW}ff{ending}.linear_out.*"),
    )


RULES = (
    rule("img_in.*", "x_embedder.*"),
    rule("txt_in.*", "context_embedder.*"),
    *(
        rule(f"{old}.{part}_layer.*", f"time_guidance_embed.{new}.linear_{number}.*")
        for old, new in (("time_in", "timestep_embedder"), ("guidance_in", "guidance_embedder"))
        for part, number in (("in", 1), ("out", 2))
    ),
    rule("*.lin.*", "*.linear.*"),
    *_double("img", "", "", ("to_q", "to_k", "to_v"), "to_out.0"),
    *_double("txt", "_context", "added_", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out"),
    rule(f"{_SINGLE}linear1.*", f"{_NEW_SINGLE}attn.to_qkv_mlp_proj.*"),
    rule(f"{_SINGLE}linear2.*", f"{_NEW_SINGLE}attn.to_out.*"),
    rule(f"{_SINGLE}norm.query_norm.scale", f"{_NEW_SINGLE}attn.norm_q.weight"),
    rule(f"{_SINGLE}norm.key_norm.scale", f"{_NEW_SINGLE}attn.norm_k.weight"),
    rule("final_layer.linear.*", "proj_out.*"),
    rule("final_layer.adaLN_modulation.1.*", "norm_out.linear.*", cut=swapped),
)
