"""Random checkpoints of any size in the genuine layout (LDM names), written down from the architecture itself.

sd1(channels=(32, 64), width=32, layers=2) -> state dict
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def sd1(
    *, channels: tuple[int, ...], width: int, layers: int, blocks: int = 1, inputs: int = 4, vocabulary: int = 49408
) -> dict[str, Tensor]:
    """A Stable Diffusion 1 checkpoint. channels: UNet widths by level; width: of the text encoder."""
    parts = {
        "model.diffusion_model.": unet(channels, width, blocks, inputs),
        "first_stage_model.": vae((32, 64)),
        "cond_stage_model.transformer.text_model.": clip(width, layers, vocabulary),
    }
    generator = torch.Generator().manual_seed(0)
    return {
        prefix + name: _tensor(name, shape, generator) for prefix, shapes in parts.items() for name, shape in shapes
    }


def unet(channels: tuple[int, ...], context: int, blocks: int, inputs: int) -> Shapes:
    """Attention on all levels but the lowest, one transformer block each."""
    base, time = channels[0], channels[0] * 4
    yield from layer("time_embed.0", (time, base))
    yield from layer("time_embed.2", (time, time))
    yield from layer("input_blocks.0.0", (base, inputs, 3, 3))
    skips, size, index = [base], base, 1
    for level, target in enumerate(channels):
        for _ in range(blocks):
            yield from res_block(f"input_blocks.{index}.0", size, target, time)
            if level < len(channels) - 1:
                yield from transformer(f"input_blocks.{index}.1", target, context)
            size, index = target, index + 1
            skips.append(size)
        if level < len(channels) - 1:
            yield from layer(f"input_blocks.{index}.0.op", (size, size, 3, 3))
            index += 1
            skips.append(size)
    yield from res_block("middle_block.0", size, size, time)
    yield from transformer("middle_block.1", size, context)
    yield from res_block("middle_block.2", size, size, time)
    index = 0
    for level, target in reversed(list(enumerate(channels))):
        attends = level < len(channels) - 1
        for block in range(blocks + 1):
            yield from res_block(f"output_blocks.{index}.0", size + skips.pop(), target, time)
            if attends:
                yield from transformer(f"output_blocks.{index}.1", target, context)
            if level and block == blocks:
                yield from layer(f"output_blocks.{index}.{2 if attends else 1}.conv", (target, target, 3, 3))
            size, index = target, index + 1
    yield from layer("out.0", (base,))
    yield from layer("out.2", (4, base, 3, 3))


def res_block(name: str, size: int, target: int, time: int) -> Shapes:
    yield from layer(f"{name}.in_layers.0", (size,))
    yield from layer(f"{name}.in_layers.2", (target, size, 3, 3))
    yield from layer(f"{name}.emb_layers.1", (target, time))
    yield from layer(f"{name}.out_layers.0", (target,))
    yield from layer(f"{name}.out_layers.3", (target, target, 3, 3))
    if size != target:
        yield from layer(f"{name}.skip_connection", (target, size, 1, 1))


def transformer(name: str, size: int, context: int) -> Shapes:
    block = f"{name}.transformer_blocks.0"
    yield from layer(f"{name}.norm", (size,))
    yield from layer(f"{name}.proj_in", (size, size, 1, 1))
    for attention, source in (("attn1", size), ("attn2", context)):
        yield f"{block}.{attention}.to_q.weight", (size, size)
        yield f"{block}.{attention}.to_k.weight", (size, source)
        yield f"{block}.{attention}.to_v.weight", (size, source)
        yield from layer(f"{block}.{attention}.to_out.0", (size, size))
    yield from layer(f"{block}.ff.net.0.proj", (size * 8, size))
    yield from layer(f"{block}.ff.net.2", (size, size * 4))
    for norm in ("norm1", "norm2", "norm3"):
        yield from layer(f"{block}.{norm}", (size,))
    yield from layer(f"{name}.proj_out", (size, size, 1, 1))


def vae(channels: tuple[int, ...], latent: int = 4) -> Shapes:
    """One residual block a level in the encoder, two in the decoder."""
    lowest = channels[-1]
    yield from layer("encoder.conv_in", (channels[0], 3, 3, 3))
    size = channels[0]
    for level, target in enumerate(channels):
        yield from vae_block(f"encoder.down.{level}.block.0", size, target)
        if level < len(channels) - 1:
            yield from layer(f"encoder.down.{level}.downsample.conv", (target, target, 3, 3))
        size = target
    yield from layer("decoder.conv_in", (lowest, latent, 3, 3))
    for side, ends in (("encoder", (lowest, latent * 2)), ("decoder", (channels[0], 3))):
        yield from vae_block(f"{side}.mid.block_1", lowest, lowest)
        yield from vae_attention(f"{side}.mid.attn_1", lowest)
        yield from vae_block(f"{side}.mid.block_2", lowest, lowest)
        yield from layer(f"{side}.norm_out", (ends[0],))
        yield from layer(f"{side}.conv_out", (ends[1], ends[0], 3, 3))
    for level, target in reversed(list(enumerate(channels))):
        for block in range(2):
            yield from vae_block(f"decoder.up.{level}.block.{block}", size, target)
            size = target
        if level:
            yield from layer(f"decoder.up.{level}.upsample.conv", (target, target, 3, 3))
    yield from layer("quant_conv", (latent * 2, latent * 2, 1, 1))
    yield from layer("post_quant_conv", (latent, latent, 1, 1))


def vae_block(name: str, size: int, target: int) -> Shapes:
    yield from layer(f"{name}.norm1", (size,))
    yield from layer(f"{name}.conv1", (target, size, 3, 3))
    yield from layer(f"{name}.norm2", (target,))
    yield from layer(f"{name}.conv2", (target, target, 3, 3))
    if size != target:
        yield from layer(f"{name}.nin_shortcut", (target, size, 1, 1))


def vae_attention(name: str, size: int) -> Shapes:
    yield from layer(f"{name}.norm", (size,))
    for part in ("q", "k", "v", "proj_out"):
        yield from layer(f"{name}.{part}", (size, size, 1, 1))


def clip(width: int, layers: int, vocabulary: int) -> Shapes:
    yield "embeddings.token_embedding.weight", (vocabulary, width)
    yield "embeddings.position_embedding.weight", (77, width)
    for index in range(layers):
        block = f"encoder.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from layer(f"{block}.self_attn.{part}", (width, width))
        yield from layer(f"{block}.layer_norm1", (width,))
        yield from layer(f"{block}.mlp.fc1", (width * 4, width))
        yield from layer(f"{block}.mlp.fc2", (width, width * 4))
        yield from layer(f"{block}.layer_norm2", (width,))
    yield from layer("final_layer_norm", (width,))


def layer(name: str, shape: tuple[int, ...]) -> Shapes:
    """A weight and its bias."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if len(shape) == 1:  # norms and biases
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    fan_in = 1
    for size in shape[1:]:
        fan_in *= size
    return torch.randn(shape, generator=generator) / fan_in**0.5
