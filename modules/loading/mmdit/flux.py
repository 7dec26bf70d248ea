"""Flux.1 dev and schnell (Black Forest Labs 2024): sizes from shapes, names, how it is called, the builder.

dev was distilled at many guidance scales and is told one (`guidance_in`); schnell was distilled to few steps, hears
none, and its noise levels do not depend on the picture's size.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import DamagedFile
from modules.core.process import FlowLevels, RectifiedFlow, flow_levels
from modules.loading import parts
from modules.loading.configs.unet import Shapes
from modules.loading.mmdit import encoders, names, patches, quantized
from modules.loading.mmdit.flux_text import FluxText
from modules.loading.mmdit.names import Rule, rows, rule, swapped, thirds
from modules.loading.parts import Parts, Source, Weights
from modules.loading.prediction import TICKS, Given

TOKENS = {True: 512, False: 256}
"""Places for T5's tokens, by whether it hears a guidance scale (dev)."""
GUIDANCE = 3.5
"""The guidance scale that dev is told unless a request says otherwise."""


def build(source: Source) -> Parts:
    """All parts; encoders and VAE may lie in files beside the checkpoint. What it raises: see `parts.Builder`."""
    weights = quantized.denoiser(source, "double_blocks.")
    denoiser = transformer(weights, source)
    sizes: Any = denoiser.config
    t5 = encoders.t5_now(source, sizes.joint_attention_dim)
    clip = encoders.clip_l(source, sizes.pooled_projection_dim)
    return Parts(
        denoiser=denoiser,
        ask=ask,
        text=FluxText(clip, t5, places=TOKENS[sizes.guidance_embeds], device=source.placement.device),
        autoencoder=encoders.autoencoder(source, avoid="sd3"),
        levels=levels(sized=sizes.guidance_embeds),
        process=RectifiedFlow(),
        prediction="flow",
        rules=rules(sizes.num_attention_heads * sizes.attention_head_dim),
    )


def ask(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call a `FluxTransformer2DModel`; time 0..1000. given.ids (B, 1): the guidance scale that dev is told."""
    assert given.pooled is not None
    even, height, width = patches.even(x)
    rows_, columns = even.shape[-2:]
    guidance = torch.full_like(time, GUIDANCE) if given.ids is None else given.ids[:, 0].to(time)
    answer: Tensor = denoiser(
        hidden_states=patches.packed(even),
        encoder_hidden_states=given.context.to(x.dtype),
        pooled_projections=given.pooled.to(x.dtype),
        timestep=time / TICKS,
        guidance=guidance if denoiser.config.guidance_embeds else None,  # type: ignore[union-attr]
        img_ids=patches.places(rows_, columns, x.device),
        txt_ids=torch.zeros(given.context.shape[1], 3, device=x.device),
        return_dict=False,
    )[0]
    return patches.unpacked(answer, rows_, columns)[..., :height, :width]


def levels(*, sized: bool) -> FlowLevels:
    """sized: more of the steps are at strong noise, the larger the picture is."""
    return flow_levels(math.exp(_mu(4096)), stretch=stretch) if sized else flow_levels()


def stretch(width: int, height: int, steps: int) -> float:
    """The shift for a picture of so many pixels: exp(mu), mu a line through 256 and 4096 patches."""
    return math.exp(_mu((width // 16) * (height // 16)))


def _mu(tokens: int, *, low: float = 0.5, high: float = 1.15) -> float:
    return low + (high - low) * (tokens - 256) / (4096 - 256)


def transformer(weights: Weights, source: Source) -> nn.Module:
    """The denoiser, ready to be called. Raises DamagedFile for a kind that wants further channels."""
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

    sizes = config(parts.shapes(weights))
    if sizes["in_channels"] != sizes["out_channels"]:
        raise DamagedFile(
            f"{source.header.path.name}: a Flux.1 tool with {sizes['in_channels'] // 4} input channels (Fill, Canny or "
            "Depth) is not supported in this version of Easel. Flux.1 dev, schnell and Kontext are."
        )
    with torch.device("meta"):
        model = FluxTransformer2DModel(**sizes)
    width = sizes["num_attention_heads"] * sizes["attention_head_dim"]
    return parts.filled(model, names.translated(weights, rules(width)), source.home, source.placement.dtype)


def config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for FluxTransformer2DModel. Raises KeyError."""
    return {
        **common(shapes),
        "pooled_projection_dim": shapes["vector_in.in_layer.weight"][1],
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
    }


def common(shapes: Shapes) -> dict[str, Any]:
    """What the families of this layout share. Raises KeyError."""
    width, channels = shapes["img_in.weight"]
    head = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shapes["final_layer.linear.weight"][0],
        "num_layers": names.count(shapes, "double_blocks."),
        "num_single_layers": names.count(shapes, "single_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "axes_dims_rope": axes(head),
    }


def axes(head: int) -> tuple[int, int, int]:
    """Channels of a head that tell time, row and column: an eighth, and halves of the rest (16, 56, 56)."""
    first = head // 8
    return first, (head - first) // 2, (head - first) // 2


_DOUBLE, _SINGLE = "double_blocks.*.", "single_blocks.*."
_NEW, _NEW_SINGLE = "transformer_blocks.*.", "single_transformer_blocks.*."
_SIDES = (
    ("img", "", ("to_q", "to_k", "to_v"), "to_out.0"),
    ("txt", "_context", ("add_q_proj", "add_k_proj", "add_v_proj"), "to_add_out"),
)
"""Of a double block: the half's name, what its new names end with, its projections, its output."""


def rules(width: int) -> tuple[Rule, ...]:
    """How names change in a model of this width."""
    embedders = {"time_in": "timestep_embedder", "vector_in": "text_embedder", "guidance_in": "guidance_embedder"}
    return (
        *(
            rule(f"{old}.{part}_layer.*", f"time_text_embed.{new}.linear_{number}.*")
            for old, new in embedders.items()
            for part, number in (("in", 1), ("out", 2))
        ),
        *(rule(f"{_DOUBLE}{side}_mod.lin.*", f"{_NEW}norm1{new}.linear.*") for side, new, *_ in _SIDES),
        rule(f"{_SINGLE}modulation.lin.*", f"{_NEW_SINGLE}norm.linear.*"),
        rule("final_layer.adaLN_modulation.1.*", "norm_out.linear.*", cut=swapped),
        *shared_rules(width),
    )


@functools.cache
def shared_rules(width: int) -> tuple[Rule, ...]:
    """Those of every family with this layout of blocks."""
    return (
        rule("img_in.*", "x_embedder.*"),
        rule("txt_in.*", "context_embedder.*"),
        *(each for side in _SIDES for each in _double(*side)),
        rule(
            f"{_SINGLE}linear1.*",
            *(f"{_NEW_SINGLE}attn.to_{part}.*" for part in "qkv"),
            f"{_NEW_SINGLE}proj_mlp.*",
            cut=rows(width, width, width, -1),
        ),
        rule(f"{_SINGLE}linear2.*", f"{_NEW_SINGLE}proj_out.*"),
        rule(f"{_SINGLE}norm.query_norm.scale", f"{_NEW_SINGLE}attn.norm_q.weight"),
        rule(f"{_SINGLE}norm.key_norm.scale", f"{_NEW_SINGLE}attn.norm_k.weight"),
        rule("final_layer.linear.*", "proj_out.*"),
    )


def _double(side: str, ending: str, parts_: tuple[str, ...], out: str) -> tuple[Rule, ...]:
    """The picture's or the text's half of a double block."""
    added = "added_" if side == "txt" else ""
    return (
        rule(f"{_DOUBLE}{side}_attn.qkv.*", *(f"{_NEW}attn.{part}.*" for part in parts_), cut=thirds),
        rule(f"{_DOUBLE}{side}_attn.norm.query_norm.scale", f"{_NEW}attn.norm_{added}q.weight"),
        rule(f"{_DOUBLE}{side}_attn.norm.key_norm.scale", f"{_NEW}attn.norm_{added}k.weight"),
        rule(f"{_DOUBLE}{side}_attn.proj.*", f"{_NEW}attn.{out}.*"),
        rule(f"{_DOUBLE}{side}_mlp.0.*", f"{_NEW}ff{ending}.net.0.proj.*"),
        rule(f"{_DOUBLE}{side}_mlp.2.*", f"{_NEW}ff{ending}.net.2.*"),
    )
