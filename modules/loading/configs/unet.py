"""A diffusers `UNet2DConditionModel` configuration from the shapes of an LDM UNet (SD1, SD2, SDXL)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modules.loading.families import Family

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor shapes by name, without the `model.diffusion_model.` prefix."""


def config(shapes: Shapes, family: Family) -> dict[str, Any]:
    """Keyword arguments for UNet2DConditionModel. Raises KeyError where a structural tensor is missing."""
    base = shapes["input_blocks.0.0.weight"][0]
    levels = _levels(shapes)
    channels = [level["channels"] for level in levels]
    depths = [level["depth"] for level in levels]
    context = next(shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight"))
    projection = next(len(shape) for name, shape in shapes.items() if name.endswith(".proj_in.weight"))
    count, width = family.heads
    return {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": tuple(channels),
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "up_block_types": tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)),
        "layers_per_block": levels[0]["blocks"],
        "transformer_layers_per_block": tuple(depth or 1 for depth in depths),
        "cross_attention_dim": context,
        # diffusers calls it attention_head_dim, but reads it as the number of heads
        "attention_head_dim": count if count else tuple(size // (width or size) for size in channels),
        "use_linear_projection": projection == 2,
        "sample_size": family.native_size // family.latent.factor,
        "norm_num_groups": 32 if base % 32 == 0 else _groups(base),
    }


def _levels(shapes: Shapes) -> list[dict[str, int]]:
    """Resolution levels from the top: channels, residual blocks, transformer depth (0 = no attention)."""
    levels: list[dict[str, int]] = [{"channels": 0, "blocks": 0, "depth": 0}]
    count = 1 + max(int(match[1]) for name in shapes if (match := re.match(r"input_blocks\.(\d+)\.", name)))
    for index in range(1, count):
        block = f"input_blocks.{index}."
        if f"{block}0.op.weight" in shapes:
            levels.append({"channels": 0, "blocks": 0, "depth": 0})
            continue
        levels[-1]["channels"] = shapes[f"{block}0.out_layers.3.weight"][0]
        levels[-1]["blocks"] += 1
        levels[-1]["depth"] = _depth(shapes, f"{block}1.transformer_blocks.")
    return levels


def _depth(shapes: Shapes, prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in shapes if name.startswith(prefix)})


def _groups(channels: int) -> int:
    """Group norm needs a divisor; every released model has 32."""
    return next(groups for groups in (16, 8, 4, 2, 1) if channels % groups == 0)
