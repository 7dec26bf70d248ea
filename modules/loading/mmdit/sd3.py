"""Stable Diffusion 3 and 3.5: sizes from shapes, names, how the transformer is called, the builder.

Esser et al. 2024, https://arxiv.org/abs/2403.03206. Medium and large differ in sizes and in two additions of 3.5 that
the names show: normed queries and keys (ln_q), a second attention in the first blocks (attn2).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import EaselError
from modules.core.process import RectifiedFlow, flow_levels
from modules.loading import parts
from modules.loading.configs.unet import Shapes
from modules.loading.mmdit import encoders, names, patches, quantized
from modules.loading.mmdit.names import Rule, rule, swapped, thirds
from modules.loading.mmdit.sd3_text import Sd3Text, Towers
from modules.loading.parts import Parts, Source, Weights
from modules.loading.prediction import Given

SHIFT = 3.0
"""How far the noise levels are moved towards noise (the paper's section 5.3.2), as released and in A1111."""
HEAD = 64
"""Channels of an attention head, where no norm's shape tells."""


def build(source: Source) -> Parts:
    """All parts of a checkpoint; encoders and VAE may lie in files beside it. What it raises: see `parts.Builder`."""
    weights = quantized.denoiser(source, "joint_blocks.")
    denoiser = transformer(weights, source)
    sizes: Any = denoiser.config
    return Parts(
        denoiser=denoiser,
        ask=ask,
        text=text(source, context=sizes.joint_attention_dim, pooled=sizes.pooled_projection_dim),
        autoencoder=encoders.autoencoder(source, avoid="flux"),
        levels=flow_levels(SHIFT, whole=False),
        process=RectifiedFlow(),
        prediction="flow",
        rules=rules(sizes.num_layers),
    )


def ask(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call an `SD3Transformer2DModel`; time 0..1000."""
    assert given.pooled is not None
    even, height, width = patches.even(x)
    answer: Tensor = denoiser(
        hidden_states=even,
        encoder_hidden_states=given.context.to(x.dtype),
        pooled_projections=given.pooled.to(x.dtype),
        timestep=time,
        return_dict=False,
    )[0]
    return answer[..., :height, :width]


def text(source: Source, *, context: int, pooled: int) -> Sd3Text:
    """The three encoders, each of which may be missing; context, pooled: the widths that the transformer wants.

    Raises EaselError where there is none at all.
    """
    pair = encoders.clip_pair(source)
    t5 = encoders.t5_later(source, context)
    if pair.l is None and pair.g is None and t5 is None:
        files = "clip_l.safetensors and clip_g.safetensors"
        raise EaselError(encoders.lacking(source, "a text encoder", files, "text_encoder"))
    return Sd3Text(Towers.of(pair.l, pair.g, pooled), t5, width=context, device=source.placement.device)


def transformer(weights: Weights, source: Source) -> nn.Module:
    """The denoiser, ready to be called."""
    from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

    sizes = config(parts.shapes(weights))
    with torch.device("meta"):
        model = SD3Transformer2DModel(**sizes)
    named = names.translated(weights, rules(sizes["num_layers"]))
    return parts.filled(model, named, source.home, source.placement.dtype)


def config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for SD3Transformer2DModel. Raises KeyError."""
    width, channels, patch, _ = shapes["x_embedder.proj.weight"]
    caption, joint = shapes["context_embedder.weight"]
    normed = shapes.get("joint_blocks.0.x_block.attn.ln_q.weight")
    head = normed[0] if normed else HEAD
    places = math.isqrt(shapes["pos_embed"][1])
    return {
        "sample_size": places * patch,
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": shapes["final_layer.linear.weight"][0] // patch**2,
        "num_layers": names.count(shapes, "joint_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": joint,
        "caption_projection_dim": caption,
        "pooled_projection_dim": shapes["y_embedder.mlp.0.weight"][1],
        "pos_embed_max_size": places,
        "dual_attention_layers": _dual(shapes),
        "qk_norm": "rms_norm" if normed else None,
    }


def _dual(shapes: Shapes) -> tuple[int, ...]:
    """Blocks with a second attention."""
    return tuple(sorted({int(name.split(".")[1]) for name in shapes if ".x_block.attn2." in name}))


_OLD, _NEW = "joint_blocks.*.", "transformer_blocks.*."


def rules(layers: int) -> tuple[Rule, ...]:
    """How names change; the context's last modulation is one of two numbers only, in the other order."""
    last = layers - 1
    final = rule(
        f"joint_blocks.{last}.context_block.adaLN_modulation.1.*",
        f"transformer_blocks.{last}.norm1_context.linear.*",
        cut=swapped,
    )
    return (final, *_RULES)


_RULES = (
    rule("pos_embed", "pos_embed.pos_embed"),
    rule("x_embedder.proj.*", "pos_embed.proj.*"),
    rule("t_embedder.mlp.0.*", "time_text_embed.timestep_embedder.linear_1.*"),
    rule("t_embedder.mlp.2.*", "time_text_embed.timestep_embedder.linear_2.*"),
    rule("y_embedder.mlp.0.*", "time_text_embed.text_embedder.linear_1.*"),
    rule("y_embedder.mlp.2.*", "time_text_embed.text_embedder.linear_2.*"),
    *(
        rule(f"{_OLD}x_block.{attn}.qkv.*", *(f"{_NEW}{attn}.to_{part}.*" for part in "qkv"), cut=thirds)
        for attn in ("attn", "attn2")
    ),
    rule(f"{_OLD}context_block.attn.qkv.*", *(f"{_NEW}attn.add_{part}_proj.*" for part in "qkv"), cut=thirds),
    *(rule(f"{_OLD}x_block.{attn}.ln_{part}.*", f"{_NEW}{attn}.norm_{part}.*") for attn in ("attn", "attn2")
      for part in "qk"),
    *(rule(f"{_OLD}context_block.attn.ln_{part}.*", f"{_NEW}attn.norm_added_{part}.*") for part in "qk"),
    *(rule(f"{_OLD}x_block.{attn}.proj.*", f"{_NEW}{attn}.to_out.0.*") for attn in ("attn", "attn2")),
    rule(f"{_OLD}context_block.attn.proj.*", f"{_NEW}attn.to_add_out.*"),
    rule(f"{_OLD}x_block.adaLN_modulation.1.*", f"{_NEW}norm1.linear.*"),
    rule(f"{_OLD}context_block.adaLN_modulation.1.*", f"{_NEW}norm1_context.linear.*"),
    rule(f"{_OLD}x_block.mlp.fc1.*", f"{_NEW}ff.net.0.proj.*"),
    rule(f"{_OLD}x_block.mlp.fc2.*", f"{_NEW}ff.net.2.*"),
    rule(f"{_OLD}context_block.mlp.fc1.*", f"{_NEW}ff_context.net.0.proj.*"),
    rule(f"{_OLD}context_block.mlp.fc2.*", f"{_NEW}ff_context.net.2.*"),
    rule("final_layer.linear.*", "proj_out.*"),
    rule("final_layer.adaLN_modulation.1.*", "norm_out.linear.*", cut=swapped),
)  # fmt: skip
