"""A diffusers `UNet2DConditionModel` configuration from the shapes of an LDM UNet (SD1, SD2, SDXL)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from modules.loading.family import Family

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor shapes by name, without the `model.diffusion_model.` prefix."""


def config(shapes: Shapes, family: Family) -> dict[str, Any]:
    """Keyword arguments for UNet2DConditionModel. Raises KeyError where a structural tensor is missing."""
    base = shapes["input_blocks.0.0.weight"][0]
    levels = _levels(shapes)
    channels = [level.channels for level in levels]
    attends = [bool(level.depths[0]) for level in levels]
    context = next(shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight"))
    projection = next(len(shape) for name, shape in shapes.items() if name.endswith(".proj_in.weight"))
    count, width = family.heads
    return {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": tuple(channels),
        "down_block_types": tuple("CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends),
        "up_block_types": tuple("CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(attends)),
        "layers_per_block": len(levels[0].depths),
        **_depths(shapes, levels),
        **_embeddings(shapes, family),
        "cross_attention_dim": context,
        # diffusers calls it attention_head_dim, but reads it as the number of heads
        "attention_head_dim": count if count else tuple(max(1, size // (width or size)) for size in channels),
        "use_linear_projection": projection == 2,
        "sample_size": family.native_size // family.latent.factor,
        "norm_num_groups": 32 if base % 32 == 0 else _groups(base),
    }


class _Level(NamedTuple):
    """A resolution level of the way down: its width, the transformer depth behind each residual block (0 = none)."""

    channels: int
    depths: tuple[int, ...]


def _levels(shapes: Shapes) -> list[_Level]:
    """From the top."""
    levels = [_Level(0, ())]
    for index in range(1, _count(shapes, "input_blocks.")):
        block = f"input_blocks.{index}."
        if f"{block}0.op.weight" in shapes:
            levels.append(_Level(0, ()))
            continue
        width = shapes[f"{block}0.out_layers.3.weight"][0]
        levels[-1] = _Level(width, (*levels[-1].depths, _depth(shapes, f"{block}1.transformer_blocks.")))
    return levels


def _depths(shapes: Shapes, levels: list[_Level]) -> dict[str, Any]:
    """Transformer blocks everywhere. Distilled models (SSD-1B, Vega) have fewer on the way up, and no middle attention.

    diffusers reads the depth of the middle from the lowest level; there both agree, or that level has none.
    """
    down = [level.depths for level in levels]
    middle, size = _depth(shapes, "middle_block.1.transformer_blocks."), len(levels[0].depths) + 1
    if middle:
        down[-1] = down[-1] if down[-1][0] else (middle,) * len(down[-1])
        if down[-1][0] != middle:
            raise ValueError(f"{middle} transformer blocks in the middle below {down[-1][0]}")
    up = [_depth(shapes, f"output_blocks.{index}.1.transformer_blocks.") for index in range(size * len(levels))]
    kinds = {True: "UNetMidBlock2DCrossAttn", False: "UNetMidBlock2D"}
    return {
        "transformer_layers_per_block": tuple(tuple(depth or 1 for depth in level) for level in down),
        "reverse_transformer_layers_per_block": tuple(
            tuple(depth or 1 for depth in up[start : start + size]) for start in range(0, len(up), size)
        ),
        "mid_block_type": kinds[bool(middle)] if "middle_block.0.in_layers.2.weight" in shapes else None,
    }


def _embeddings(shapes: Shapes, family: Family) -> dict[str, Any]:
    """What is added to the embedding of time: pooled prompt and numbers (SDXL), or the embedding of a picture."""
    added = shapes.get("label_emb.0.0.weight")
    if added is None:
        return {}
    if family.ids is None:
        return {"class_embed_type": "projection", "projection_class_embeddings_input_dim": added[1]}
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": added[1],
    }


def _count(shapes: Shapes, prefix: str) -> int:
    return 1 + max(int(match[1]) for name in shapes if (match := re.match(re.escape(prefix) + r"(\d+)\.", name)))


def _depth(shapes: Shapes, prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in shapes if name.startswith(prefix)})


def _groups(channels: int) -> int:
    """Group norm needs a divisor; every released model has 32."""
    return next(groups for groups in (16, 8, 4, 2, 1) if channels % groups == 0)
