"""Random checkpoints of any size in the genuine layout (LDM names), written down from the architecture itself.

sd1(channels=(32, 64), width=32, layers=2) -> state dict; `RECIPES` has a small one for every UNet family and variant,
`parts` only the names and shapes, for the real sizes too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

Shapes = Iterator[tuple[str, tuple[int, ...]]]
Parts = Mapping[str, Shapes]
"""Shapes by the prefix below which they are stored."""

UNET, VAE = "model.diffusion_model.", "first_stage_model."


def sd1(
    *, channels: tuple[int, ...], width: int, layers: int, blocks: int = 1, inputs: int = 4, vocabulary: int = 49408
) -> dict[str, Tensor]:
    """A Stable Diffusion 1 checkpoint. channels: UNet widths by level; width: of the text encoder."""
    net = Net(channels=channels, context=width, depths=(*[1] * (len(channels) - 1), 0), blocks=blocks, inputs=inputs)
    return filled(
        {
            UNET: unet(net),
            VAE: vae((32, 64)),
            "cond_stage_model.transformer.text_model.": clip(width, layers, vocabulary),
        }
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Net:
    """A UNet. channels, depths (transformer blocks behind each residual block, 0 = none) by level; ups: depths on the
    way up, block by block, where they differ; middle: depth in the middle, None = no attention there; linear: kind of
    projection around a transformer; added: channels of the vector that goes with time.
    """

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    context: int
    blocks: int = 1
    inputs: int = 4
    ups: tuple[int, ...] | None = None
    middle: int | None = 1
    linear: bool = False
    added: int | None = None

    def up(self, level: int, block: int) -> int:
        index = (len(self.channels) - 1 - level) * (self.blocks + 1) + block
        return self.depths[level] if self.ups is None else self.ups[index]


def filled(parts: Parts) -> dict[str, Tensor]:
    """Random tensors, as they are before training."""
    generator = torch.Generator().manual_seed(0)
    return {
        prefix + name: _tensor(name, shape, generator) for prefix, shapes in parts.items() for name, shape in shapes
    }


def unet(net: Net) -> Shapes:
    """All tensors of a UNet."""
    channels, base, time = net.channels, net.channels[0], net.channels[0] * 4
    yield from layer("time_embed.0", (time, base))
    yield from layer("time_embed.2", (time, time))
    if net.added:
        yield from layer("label_emb.0.0", (time, net.added))
        yield from layer("label_emb.0.2", (time, time))
    yield from layer("input_blocks.0.0", (base, net.inputs, 3, 3))
    skips, size, index = [base], base, 1
    for level, target in enumerate(channels):
        for _ in range(net.blocks):
            yield from res_block(f"input_blocks.{index}.0", size, target, time)
            yield from transformer(f"input_blocks.{index}.1", target, net, net.depths[level])
            size, index = target, index + 1
            skips.append(size)
        if level < len(channels) - 1:
            yield from layer(f"input_blocks.{index}.0.op", (size, size, 3, 3))
            index += 1
            skips.append(size)
    yield from res_block("middle_block.0", size, size, time)
    if net.middle:
        yield from transformer("middle_block.1", size, net, net.middle)
        yield from res_block("middle_block.2", size, size, time)
    index = 0
    for level, target in reversed(list(enumerate(channels))):
        for block in range(net.blocks + 1):
            depth = net.up(level, block)
            yield from res_block(f"output_blocks.{index}.0", size + skips.pop(), target, time)
            yield from transformer(f"output_blocks.{index}.1", target, net, depth)
            if level and block == net.blocks:
                yield from layer(f"output_blocks.{index}.{2 if depth else 1}.conv", (target, target, 3, 3))
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


def transformer(name: str, size: int, net: Net, depth: int) -> Shapes:
    """Nothing at depth 0."""
    if not depth:
        return
    projection = (size, size) if net.linear else (size, size, 1, 1)
    yield from layer(f"{name}.norm", (size,))
    yield from layer(f"{name}.proj_in", projection)
    for index in range(depth):
        block = f"{name}.transformer_blocks.{index}"
        for attention, source in (("attn1", size), ("attn2", net.context)):
            yield f"{block}.{attention}.to_q.weight", (size, size)
            yield f"{block}.{attention}.to_k.weight", (size, source)
            yield f"{block}.{attention}.to_v.weight", (size, source)
            yield from layer(f"{block}.{attention}.to_out.0", (size, size))
        yield from layer(f"{block}.ff.net.0.proj", (size * 8, size))
        yield from layer(f"{block}.ff.net.2", (size, size * 4))
        for norm in ("norm1", "norm2", "norm3"):
            yield from layer(f"{block}.{norm}", (size,))
    yield from layer(f"{name}.proj_out", projection)


def vae(channels: tuple[int, ...], latent: int = 4, blocks: int = 1) -> Shapes:
    """So many residual blocks a level in the encoder, one more in the decoder."""
    lowest = channels[-1]
    yield from layer("encoder.conv_in", (channels[0], 3, 3, 3))
    size = channels[0]
    for level, target in enumerate(channels):
        for block in range(blocks):
            yield from vae_block(f"encoder.down.{level}.block.{block}", size, target)
            size = target
        if level < len(channels) - 1:
            yield from layer(f"encoder.down.{level}.downsample.conv", (target, target, 3, 3))
    yield from layer("decoder.conv_in", (lowest, latent, 3, 3))
    for side, ends in (("encoder", (lowest, latent * 2)), ("decoder", (channels[0], 3))):
        yield from vae_block(f"{side}.mid.block_1", lowest, lowest)
        yield from vae_attention(f"{side}.mid.attn_1", lowest)
        yield from vae_block(f"{side}.mid.block_2", lowest, lowest)
        yield from layer(f"{side}.norm_out", (ends[0],))
        yield from layer(f"{side}.conv_out", (ends[1], ends[0], 3, 3))
    size = lowest
    for level, target in reversed(list(enumerate(channels))):
        for block in range(blocks + 1):
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


def open_clip(width: int, layers: int, vocabulary: int = 49408) -> Shapes:
    """OpenCLIP's text tower: fused projections, a matrix at the end."""
    yield "positional_embedding", (77, width)
    yield "text_projection", (width, width)
    yield "logit_scale", ()
    yield "token_embedding.weight", (vocabulary, width)
    for index in range(layers):
        block = f"transformer.resblocks.{index}"
        yield f"{block}.attn.in_proj_weight", (width * 3, width)
        yield f"{block}.attn.in_proj_bias", (width * 3,)
        yield from layer(f"{block}.attn.out_proj", (width, width))
        yield from layer(f"{block}.ln_1", (width,))
        yield from layer(f"{block}.ln_2", (width,))
        yield from layer(f"{block}.mlp.c_fc", (width * 4, width))
        yield from layer(f"{block}.mlp.c_proj", (width, width * 4))
    yield from layer("ln_final", (width,))


def sd1_parts(net: Net, text: tuple[int, int], shapes: Shapes) -> Parts:
    """text: width and layers of the encoder; shapes: of the VAE."""
    return {UNET: unet(net), VAE: shapes, "cond_stage_model.transformer.text_model.": clip(*text, 49408)}


def sd2_parts(net: Net, text: tuple[int, int], shapes: Shapes) -> Parts:
    return {UNET: unet(net), VAE: shapes, "cond_stage_model.model.": open_clip(*text)}


def sdxl_parts(net: Net, first: tuple[int, int], second: tuple[int, int], shapes: Shapes) -> Parts:
    return {
        UNET: unet(net),
        VAE: shapes,
        "conditioner.embedders.0.transformer.text_model.": clip(*first, 49408),
        "conditioner.embedders.1.model.": open_clip(*second),
    }


def refiner_parts(net: Net, text: tuple[int, int], shapes: Shapes) -> Parts:
    return {UNET: unet(net), VAE: shapes, "conditioner.embedders.0.model.": open_clip(*text)}


REAL: Mapping[str, Callable[[], Parts]] = {
    "sd1": lambda: sd1_parts(
        Net(channels=(320, 640, 1280, 1280), depths=(1, 1, 1, 0), context=768, blocks=2), (768, 12), real_vae()
    ),
    "sd2": lambda: sd2_parts(
        Net(channels=(320, 640, 1280, 1280), depths=(1, 1, 1, 0), context=1024, blocks=2, linear=True),
        (1024, 24),
        real_vae(),
    ),
    "sdxl": lambda: sdxl_parts(
        Net(channels=(320, 640, 1280), depths=(0, 2, 10), context=2048, blocks=2, middle=10, linear=True, added=2816),
        (768, 12),
        (1280, 32),
        real_vae(),
    ),
    "sdxl-refiner": lambda: refiner_parts(
        Net(
            channels=(384, 768, 1536, 1536),
            depths=(0, 4, 4, 0),
            context=1280,
            blocks=2,
            middle=4,
            linear=True,
            added=2560,
        ),
        (1280, 32),
        real_vae(),
    ),
}
"""The released models: names and shapes."""


def real_vae() -> Shapes:
    return vae((128, 256, 512, 512), blocks=2)


_SMALL = Net(channels=(32, 64), depths=(1, 0), context=64)
_SMALL2 = Net(channels=(64, 64), depths=(1, 0), context=64, linear=True)
_SMALL_XL = Net(channels=(32, 64, 64), depths=(0, 1, 2), context=128, middle=2, linear=True, added=64 + 6 * 256)
_SMALL_REFINER = Net(channels=(32, 64, 64), depths=(0, 2, 0), context=64, middle=2, linear=True, added=64 + 5 * 256)
_DISTILLED = dataclasses.replace(_SMALL_XL, ups=(2, 1, 1, 1, 0, 0), middle=None)


def _sd1(inputs: int) -> Parts:
    return sd1_parts(dataclasses.replace(_SMALL, inputs=inputs), (64, 2), vae((32, 64)))


def _sd2(inputs: int = 4, added: int | None = None) -> Parts:
    return sd2_parts(dataclasses.replace(_SMALL2, inputs=inputs, added=added), (64, 3), vae((32, 64)))


def _sdxl(net: Net) -> Parts:
    return sdxl_parts(net, (64, 3), (64, 3), vae((32, 64)))


def _marks(*names: str) -> Parts:
    return {"": iter([(name, ()) for name in names])}


RECIPES: Mapping[str, Callable[[], Parts]] = {
    "sd1": lambda: _sd1(4),
    "sd1 inpainting": lambda: _sd1(9),
    "sd1 editing": lambda: _sd1(8),
    "sd1 depth": lambda: _sd1(5),
    "sd2": _sd2,
    "sd2 inpainting": lambda: _sd2(9),
    "sd2-depth depth": lambda: {**_sd2(5), "depth_model.model.": layer("scratch.layer1_rn", (4, 4))},
    "sd2-unclip": lambda: {**_sd2(added=32), "embedder.model.": layer("visual.ln_pre", (4,))},
    "sdxl": lambda: _sdxl(_SMALL_XL),
    "sdxl inpainting": lambda: _sdxl(dataclasses.replace(_SMALL_XL, inputs=9)),
    "sdxl velocity": lambda: {**_sdxl(_SMALL_XL), **_marks("v_pred", "ztsnr")},
    "sdxl distilled": lambda: _sdxl(_DISTILLED),
    "sdxl-refiner": lambda: refiner_parts(_SMALL_REFINER, (64, 3), vae((32, 64))),
}
"""Family and variant -> a small checkpoint of it."""


def layer(name: str, shape: tuple[int, ...]) -> Shapes:
    """A weight and its bias."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if len(shape) <= 1:  # norms and biases
        # a final norm without a bias would leave a mean of exactly 0, by which "Original" emphasis divides
        return torch.ones(shape) if name.endswith("weight") else torch.randn(shape, generator=generator) * 0.02
    fan_in = 1
    for size in shape[1:]:
        fan_in *= size
    return torch.randn(shape, generator=generator) / fan_in**0.5
