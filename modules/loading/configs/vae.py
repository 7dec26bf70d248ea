"""A diffusers `AutoencoderKL` configuration from the shapes of an LDM first stage."""

from __future__ import annotations

import re
from typing import Any

from modules.loading.configs.unet import Shapes


def config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for AutoencoderKL; shapes without the `first_stage_model.` prefix. Raises KeyError."""
    levels = 1 + max(int(match[1]) for name in shapes if (match := re.match(r"encoder\.down\.(\d+)\.", name)))
    channels = tuple(shapes[f"encoder.down.{level}.block.0.conv2.weight"][0] for level in range(levels))
    blocks = len({name.split(".")[4] for name in shapes if name.startswith("encoder.down.0.block.")})
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["decoder.conv_out.weight"][0],
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "block_out_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "layers_per_block": blocks,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }
