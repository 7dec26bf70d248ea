"""Tiny random control networks for tests, in the layouts that people have, made from the tiny SD1's own shapes."""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.studio import MODELS

CHECKPOINT = MODELS / "Stable-diffusion" / "tiny-sd1.safetensors"
PREFIX = "model.diffusion_model."
HINTS = (8, 8, 16, 16, 24, 24, 32)
"""Widths of the hint's convolutions; those that widen it halve the picture."""


def ldm(seed: int = 1) -> dict[str, Tensor]:
    """A ControlNet as lllyasviel's files have it: the UNet's way down, with connections that say something."""
    chance = torch.Generator().manual_seed(seed)

    def random(*shape: int, scale: float) -> Tensor:
        return torch.randn(shape, generator=chance) * scale

    own = {name.removeprefix(PREFIX): each for name, each in load_file(CHECKPOINT).items() if name.startswith(PREFIX)}
    found = {name: each.float() for name, each in own.items() if name.startswith(("time", "input_blocks", "middle"))}
    ends = [own[f"input_blocks.{place}.0.{part}"].shape[0] for place, part in _ends(own)]
    for place, width in enumerate(ends):
        found |= {f"zero_convs.{place}.0.weight": random(width, width, 1, 1, scale=0.02)}
        found |= {f"zero_convs.{place}.0.bias": random(width, scale=0.02)}
    found |= {"middle_block_out.0.weight": random(ends[-1], ends[-1], 1, 1, scale=0.02)}
    found |= {"middle_block_out.0.bias": random(ends[-1], scale=0.02)}
    widths = (3, *HINTS, ends[0])
    for number, (inner, outer) in enumerate(itertools.pairwise(widths)):
        found |= {f"input_hint_block.{2 * number}.weight": random(outer, inner, 3, 3, scale=0.15)}
        found |= {f"input_hint_block.{2 * number}.bias": random(outer, scale=0.02)}
    return {f"control_model.{name}": each.contiguous() for name, each in found.items()}


def _ends(own: dict[str, Tensor]) -> list[tuple[int, str]]:
    """Where each block of the way down has its last weight."""
    count = 1 + max(int(name.split(".")[1]) for name in own if name.startswith("input_blocks."))
    parts = ("out_layers.3.weight", "op.weight", "weight")
    return [(place, next(part for part in parts if f"input_blocks.{place}.0.{part}" in own)) for place in range(count)]


def oracle(unet: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """The same network by diffusers' own hands: its copy of the UNet, with the file's connections and hint."""
    from diffusers.models.controlnets.controlnet import ControlNetModel

    made = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(HINTS[0], *HINTS[2::2]))
    plain = {name.removeprefix("control_model."): each for name, each in weights.items()}
    with torch.no_grad():
        for place, block in enumerate(made.controlnet_down_blocks):
            block.load_state_dict(_part(plain, f"zero_convs.{place}.0."))
        made.controlnet_mid_block.load_state_dict(_part(plain, "middle_block_out.0."))
        hint = made.controlnet_cond_embedding
        for number, layer in enumerate((hint.conv_in, *hint.blocks, hint.conv_out)):
            layer.load_state_dict(_part(plain, f"input_hint_block.{2 * number}."))
    return made.eval().requires_grad_(False)


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}


def t2i(seed: int = 2) -> nn.Module:
    """A T2I-Adapter for the tiny SD1."""
    from diffusers.models.adapter import T2IAdapter

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = T2IAdapter(channels=[32, 64, 64, 64], num_res_blocks=2, in_channels=3)
    return made.eval().requires_grad_(False)


def tencent(adapter: nn.Module) -> dict[str, Tensor]:
    """Its weights as TencentARC's files have them: all blocks in a row."""
    found = {}
    for name, each in adapter.state_dict().items():
        head, *tail = name.removeprefix("adapter.").split(".")
        if head == "body":
            level = int(tail[0])
            tail = [str(2 * level), *tail[1:]] if tail[1] == "in_conv" else [str(2 * level + int(tail[2])), *tail[3:]]
        found[".".join([head, *tail])] = each.contiguous()
    return found


def save(weights: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: each.contiguous() for name, each in weights.items()}, path)
