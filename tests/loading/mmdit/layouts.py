"""Random transformers of any size under the names of released files, written down from the architectures themselves.

sd3() -> state dict of a whole checkpoint; parts can be taken alone by their prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from tests.loading.invented import Shapes, clip, layer, vae

Weights = dict[str, Tensor]

CLIP_L, CLIP_G, T5_WIDTH = 32, 48, 96
VAE_CHANNELS = (32, 64, 64, 64)


def filled(parts: Mapping[str, Iterable[tuple[str, tuple[int, ...]]]], seed: int = 0) -> Weights:
    """Random numbers of a size that keeps signals alive, norms near 1; the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return {
        prefix + name: _numbers(name, shape, generator) for prefix, shapes in parts.items() for name, shape in shapes
    }


def _numbers(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if name.endswith("gamma"):
        return 1 + 0.1 * noise
    if name.endswith("running_var"):
        return 1 + 0.1 * noise.abs()
    if len(shape) == 1:
        return 1 + 0.1 * noise if name.endswith(("weight", "scale")) else 0.1 * noise
    inputs = 1
    for size in shape[1:]:
        inputs *= size
    return noise / inputs**0.5


def linear(name: str, outputs: int, inputs: int) -> Shapes:
    yield from layer(name, (outputs, inputs))


def clip_l() -> dict[str, Shapes]:
    """CLIP-L as a file of its own."""
    return {"text_model.": clip(CLIP_L, 3, 49408)}


def clip_g() -> dict[str, Shapes]:
    """OpenCLIP bigG as a file of its own."""
    return {"text_model.": clip(CLIP_G, 3, 49408), "": iter([("text_projection.weight", (CLIP_G, CLIP_G))])}


def text_parts(*, l: bool = True, g: bool = True, t5_too: bool = True) -> dict[str, Shapes]:  # noqa: E741
    """The encoders as they lie inside a checkpoint."""
    parts: dict[str, Shapes] = {}
    if l:
        parts["text_encoders.clip_l.transformer.text_model."] = clip(CLIP_L, 3, 49408)
    if g:
        parts["text_encoders.clip_g.transformer.text_model."] = clip(CLIP_G, 3, 49408)
        parts["text_encoders.clip_g.transformer."] = iter([("text_projection.weight", (CLIP_G, CLIP_G))])
    if t5_too:
        parts["text_encoders.t5xxl.transformer."] = t5(T5_WIDTH, 2)
    return parts


def t5(width: int, layers: int, vocabulary: int = 400, heads: int = 4) -> Shapes:
    """T5 1.1's encoder: no biases, gated feed-forward, one table of relative places."""
    inner = heads * 8
    yield "shared.weight", (vocabulary, width)
    yield "encoder.embed_tokens.weight", (vocabulary, width)
    for index in range(layers):
        block = f"encoder.block.{index}.layer"
        for part in "qkv":
            yield f"{block}.0.SelfAttention.{part}.weight", (inner, width)
        yield f"{block}.0.SelfAttention.o.weight", (width, inner)
        if index == 0:
            yield f"{block}.0.SelfAttention.relative_attention_bias.weight", (32, heads)
        yield f"{block}.0.layer_norm.weight", (width,)
        for part in ("wi_0", "wi_1"):
            yield f"{block}.1.DenseReluDense.{part}.weight", (width * 2, width)
        yield f"{block}.1.DenseReluDense.wo.weight", (width, width * 2)
        yield f"{block}.1.layer_norm.weight", (width,)
    yield "encoder.final_layer_norm.weight", (width,)


def vae16() -> Shapes:
    """A VAE with 16 latent channels, without the two 1x1 convolutions of older ones."""
    return ((name, shape) for name, shape in vae(VAE_CHANNELS, latent=16) if "quant_conv" not in name)


def sd3(*, layers: int = 3, heads: int = 2, normed: bool = False, dual: int = 0, head: int = 64) -> Shapes:
    """The MMDiT. normed: queries and keys have norms, dual: the first so many blocks a second attention (SD3.5)."""
    width, places = heads * head, 12
    yield "pos_embed", (1, places * places, width)
    yield "x_embedder.proj.weight", (width, 16, 2, 2)
    yield "x_embedder.proj.bias", (width,)
    yield from linear("t_embedder.mlp.0", width, 256)
    yield from linear("t_embedder.mlp.2", width, width)
    yield from linear("y_embedder.mlp.0", width, CLIP_L + CLIP_G)
    yield from linear("y_embedder.mlp.2", width, width)
    yield from linear("context_embedder", width, T5_WIDTH)
    for index in range(layers):
        yield from _sd3_block(f"joint_blocks.{index}", width, head, index == layers - 1, normed, index < dual)
    yield from linear("final_layer.linear", 64, width)
    yield from linear("final_layer.adaLN_modulation.1", width * 2, width)


def _sd3_block(block: str, width: int, head: int, last: bool, normed: bool, dual: bool) -> Shapes:
    for side in ("x_block", "context_block"):
        name, ends = f"{block}.{side}", last and side == "context_block"
        attentions = ("attn", "attn2") if dual and side == "x_block" else ("attn",)
        for attention in attentions:
            yield from linear(f"{name}.{attention}.qkv", width * 3, width)
            if not ends:
                yield from linear(f"{name}.{attention}.proj", width, width)
            if normed:
                yield f"{name}.{attention}.ln_q.weight", (head,)
                yield f"{name}.{attention}.ln_k.weight", (head,)
        numbers = 2 if ends else 9 if len(attentions) == 2 else 6
        yield from linear(f"{name}.adaLN_modulation.1", width * numbers, width)
        if not ends:
            yield from linear(f"{name}.mlp.fc1", width * 4, width)
            yield from linear(f"{name}.mlp.fc2", width, width * 4)


def flux(*, double: int = 2, single: int = 3, heads: int = 2, head: int = 32, guided: bool = True) -> Shapes:
    """Flux.1; guided: dev, which is told a guidance scale."""
    width = heads * head
    yield from flux_blocks(double, single, width, head)
    yield from linear("vector_in.in_layer", width, CLIP_L)
    yield from linear("vector_in.out_layer", width, width)
    for name in ("time_in", *(("guidance_in",) if guided else ())):
        yield from linear(f"{name}.in_layer", width, 256)
        yield from linear(f"{name}.out_layer", width, width)
    for index in range(double):
        for side in ("img", "txt"):
            yield from linear(f"double_blocks.{index}.{side}_mod.lin", width * 6, width)
    for index in range(single):
        yield from linear(f"single_blocks.{index}.modulation.lin", width * 3, width)
    yield from linear("final_layer.adaLN_modulation.1", width * 2, width)


def flux_blocks(double: int, single: int, width: int, head: int) -> Shapes:
    """What Flux.1 and Chroma share."""
    yield from linear("img_in", width, 64)
    yield from linear("txt_in", width, T5_WIDTH)
    for index in range(double):
        for side in ("img", "txt"):
            name = f"double_blocks.{index}.{side}"
            yield from linear(f"{name}_attn.qkv", width * 3, width)
            yield f"{name}_attn.norm.query_norm.scale", (head,)
            yield f"{name}_attn.norm.key_norm.scale", (head,)
            yield from linear(f"{name}_attn.proj", width, width)
            yield from linear(f"{name}_mlp.0", width * 4, width)
            yield from linear(f"{name}_mlp.2", width, width * 4)
    for index in range(single):
        name = f"single_blocks.{index}"
        yield from linear(f"{name}.linear1", width * 7, width)
        yield from linear(f"{name}.linear2", width, width * 5)
        yield f"{name}.norm.query_norm.scale", (head,)
        yield f"{name}.norm.key_norm.scale", (head,)
    yield from linear("final_layer.linear", 64, width)


def chroma(*, double: int = 2, single: int = 3, heads: int = 2, head: int = 32) -> Shapes:
    """Chroma: a small network makes all modulations."""
    width, inner = heads * head, 48
    yield from flux_blocks(double, single, width, head)
    yield from linear("distilled_guidance_layer.in_proj", inner, 64)
    yield from linear("distilled_guidance_layer.out_proj", width, inner)
    for index in range(2):
        yield from linear(f"distilled_guidance_layer.layers.{index}.in_layer", inner, inner)
        yield from linear(f"distilled_guidance_layer.layers.{index}.out_layer", inner, inner)
        yield f"distilled_guidance_layer.norms.{index}.scale", (inner,)


GEMMA_WIDTH, QWEN_WIDTH = 96, 96


def language_model(
    *, width: int, layers: int = 3, heads: int, keys: int, head: int, vocabulary: int = 300, kind: str
) -> Shapes:
    """The text part of a language model; kind: "gemma2", "qwen3", "qwen2" or "mistral"."""
    yield "embed_tokens.weight", (vocabulary, width)
    for index in range(layers):
        block = f"layers.{index}"
        for part, rows in (("q", heads), ("k", keys), ("v", keys)):
            yield f"{block}.self_attn.{part}_proj.weight", (rows * head, width)
            if kind == "qwen2":
                yield f"{block}.self_attn.{part}_proj.bias", (rows * head,)
            if kind == "qwen3" and part != "v":
                yield f"{block}.self_attn.{part}_norm.weight", (head,)
        yield f"{block}.self_attn.o_proj.weight", (width, heads * head)
        for part in ("gate_proj", "up_proj"):
            yield f"{block}.mlp.{part}.weight", (width * 2, width)
        yield f"{block}.mlp.down_proj.weight", (width, width * 2)
        norms = ["input_layernorm", "post_attention_layernorm"]
        if kind == "gemma2":
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for norm in norms:
            yield f"{block}.{norm}.weight", (width,)
    yield "norm.weight", (width,)


def gemma2() -> Shapes:
    return language_model(width=GEMMA_WIDTH, heads=2, keys=1, head=256, kind="gemma2")


def qwen3(width: int = QWEN_WIDTH, layers: int = 3) -> Shapes:
    return language_model(width=width, layers=layers, heads=4, keys=2, head=32, kind="qwen3")


def lumina2(*, layers: int = 2, heads: int = 4, keys: int = 2, head: int = 24) -> Shapes:
    """Lumina Image 2: fewer heads for keys than for queries."""
    width, block_rows = heads * head, (heads + 2 * keys) * head
    yield from linear("x_embedder", width, 64)
    yield from linear("t_embedder.mlp.0", min(width, 1024), 256)
    yield from linear("t_embedder.mlp.2", min(width, 1024), min(width, 1024))
    yield "cap_embedder.0.weight", (GEMMA_WIDTH,)
    yield from linear("cap_embedder.1", width, GEMMA_WIDTH)
    for part, count in (("noise_refiner", 1), ("context_refiner", 1), ("layers", layers)):
        for index in range(count):
            name = f"{part}.{index}"
            yield from _next_block(name, width, block_rows, head, width * 3)
            if part != "context_refiner":
                yield from linear(f"{name}.adaLN_modulation.1", width * 4, min(width, 1024))
    yield "norm_final.weight", (width,)
    yield from linear("final_layer.linear", 64, width)
    yield from linear("final_layer.adaLN_modulation.1", width, min(width, 1024))


def z_image(*, layers: int = 2, heads: int = 3, head: int = 32) -> Shapes:
    """Z-Image: tokens that fill up texts and pictures are learnt."""
    width = heads * head
    yield from linear("x_embedder", width, 64)
    yield from linear("t_embedder.mlp.0", 1024, 256)
    yield from linear("t_embedder.mlp.2", min(width, 256), 1024)
    yield "cap_embedder.0.weight", (QWEN_WIDTH,)
    yield from linear("cap_embedder.1", width, QWEN_WIDTH)
    yield "x_pad_token", (1, width)
    yield "cap_pad_token", (1, width)
    for part, count in (("noise_refiner", 1), ("context_refiner", 1), ("layers", layers)):
        for index in range(count):
            name = f"{part}.{index}"
            yield from _next_block(name, width, width * 3, head, int(width / 3 * 8))
            if part != "context_refiner":
                yield from linear(f"{name}.adaLN_modulation.0", width * 4, min(width, 256))
    yield from linear("final_layer.linear", 64, width)
    yield from linear("final_layer.adaLN_modulation.1", width, min(width, 256))


def _next_block(name: str, width: int, rows: int, head: int, inner: int) -> Shapes:
    yield f"{name}.attention.qkv.weight", (rows, width)
    yield f"{name}.attention.out.weight", (width, width)
    yield f"{name}.attention.q_norm.weight", (head,)
    yield f"{name}.attention.k_norm.weight", (head,)
    for part, (outputs, inputs) in (("1", (inner, width)), ("2", (width, inner)), ("3", (inner, width))):
        yield f"{name}.feed_forward.w{part}.weight", (outputs, inputs)
    for norm in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"):
        yield f"{name}.{norm}.weight", (width,)


def flux2(*, double: int = 2, single: int = 3, heads: int = 2, head: int = 32, guided: bool = True) -> Shapes:
    """Flux.2: no biases, one modulation for all blocks of a kind. The text is 3 depths of a model of QWEN_WIDTH."""
    width, inner = heads * head, heads * head * 3

    def plain(name: str, outputs: int, inputs: int) -> Shapes:
        yield f"{name}.weight", (outputs, inputs)

    yield from plain("img_in", width, 128)
    yield from plain("txt_in", width, QWEN_WIDTH * 3)
    for name in ("time_in", *(("guidance_in",) if guided else ())):
        yield from plain(f"{name}.in_layer", width, 256)
        yield from plain(f"{name}.out_layer", width, width)
    for name, numbers in (("double_stream_modulation_img", 6), ("double_stream_modulation_txt", 6)):
        yield from plain(f"{name}.lin", width * numbers, width)
    yield from plain("single_stream_modulation.lin", width * 3, width)
    for index in range(double):
        for side in ("img", "txt"):
            name = f"double_blocks.{index}.{side}"
            yield from plain(f"{name}_attn.qkv", width * 3, width)
            yield f"{name}_attn.norm.query_norm.scale", (head,)
            yield f"{name}_attn.norm.key_norm.scale", (head,)
            yield from plain(f"{name}_attn.proj", width, width)
            yield from plain(f"{name}_mlp.0", inner * 2, width)
            yield from plain(f"{name}_mlp.2", width, inner)
    for index in range(single):
        name = f"single_blocks.{index}"
        yield from plain(f"{name}.linear1", width * 3 + inner * 2, width)
        yield from plain(f"{name}.linear2", width, width + inner)
        yield f"{name}.norm.query_norm.scale", (head,)
        yield f"{name}.norm.key_norm.scale", (head,)
    yield from plain("final_layer.linear", 128, width)
    yield from plain("final_layer.adaLN_modulation.1", width * 2, width)


def vae32() -> Shapes:
    """Flux.2's VAE: the 1x1 convolutions belong to encoder and decoder, a batch norm knows the latents' statistics."""
    for name, shape in vae(VAE_CHANNELS, latent=32):
        yield {"post": "decoder.", "quan": "encoder."}.get(name[:4], "") + name, shape
    yield "bn.running_mean", (128,)
    yield "bn.running_var", (128,)


def mistral() -> Shapes:
    return language_model(width=QWEN_WIDTH, layers=4, heads=2, keys=1, head=128, kind="mistral")


def qwen25() -> Shapes:
    return language_model(width=QWEN_WIDTH, heads=2, keys=1, head=128, kind="qwen2")


def qwen_image(*, layers: int = 2, heads: int = 2, head: int = 32) -> Shapes:
    """Qwen-Image, which is released under diffusers' names."""
    width = heads * head
    yield from linear("img_in", width, 64)
    yield from linear("txt_in", width, QWEN_WIDTH)
    yield "txt_norm.weight", (QWEN_WIDTH,)
    yield from linear("time_text_embed.timestep_embedder.linear_1", width, 256)
    yield from linear("time_text_embed.timestep_embedder.linear_2", width, width)
    for index in range(layers):
        name = f"transformer_blocks.{index}"
        for part in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"):
            yield from linear(f"{name}.attn.{part}", width, width)
        for norm in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
            yield f"{name}.attn.{norm}.weight", (head,)
        for side in ("img", "txt"):
            yield from linear(f"{name}.{side}_mod.1", width * 6, width)
            yield from linear(f"{name}.{side}_mlp.net.0.proj", width * 4, width)
            yield from linear(f"{name}.{side}_mlp.net.2", width, width * 4)
    yield from linear("norm_out.linear", width * 2, width)
    yield from linear("proj_out", 64, width)


def video_vae(base: int = 8, factors: tuple[int, ...] = (1, 2, 4, 4)) -> Shapes:
    """Qwen-Image's VAE under the names of Wan's: three-dimensional convolutions, norms with one factor a channel."""
    sizes = [base * factor for factor in factors]

    def conv(name: str, outputs: int, inputs: int, *kernel: int) -> Shapes:
        yield from layer(name, (outputs, inputs, *kernel))

    def block(name: str, inputs: int, outputs: int) -> Shapes:
        yield f"{name}.residual.0.gamma", (inputs, 1, 1, 1)
        yield from conv(f"{name}.residual.2", outputs, inputs, 3, 3, 3)
        yield f"{name}.residual.3.gamma", (outputs, 1, 1, 1)
        yield from conv(f"{name}.residual.6", outputs, outputs, 3, 3, 3)
        if inputs != outputs:
            yield from conv(f"{name}.shortcut", outputs, inputs, 1, 1, 1)

    def middle(name: str, size: int) -> Shapes:
        yield from block(f"{name}.0", size, size)
        yield f"{name}.1.norm.gamma", (size, 1, 1)
        yield from conv(f"{name}.1.to_qkv", size * 3, size, 1, 1)
        yield from conv(f"{name}.1.proj", size, size, 1, 1)
        yield from block(f"{name}.2", size, size)

    yield from conv("encoder.conv1", base, 3, 3, 3, 3)
    size, index = base, 0
    for level, target in enumerate(sizes):
        for _ in range(2):
            yield from block(f"encoder.downsamples.{index}", size, target)
            size, index = target, index + 1
        if level < 3:
            yield from conv(f"encoder.downsamples.{index}.resample.1", size, size, 3, 3)
            if level:
                yield from conv(f"encoder.downsamples.{index}.time_conv", size, size, 3, 1, 1)
            index += 1
    yield from middle("encoder.middle", size)
    yield "encoder.head.0.gamma", (size, 1, 1, 1)
    yield from conv("encoder.head.2", 32, size, 3, 3, 3)
    yield from conv("conv1", 32, 32, 1, 1, 1)
    yield from conv("conv2", 16, 16, 1, 1, 1)
    yield from conv("decoder.conv1", size, 16, 3, 3, 3)
    yield from middle("decoder.middle", size)
    index = 0
    for level, target in enumerate(reversed(sizes)):
        for _ in range(3):
            yield from block(f"decoder.upsamples.{index}", size, target)
            size, index = target, index + 1
        if level < 3:
            yield from conv(f"decoder.upsamples.{index}.resample.1", size // 2, size, 3, 3)
            if level < 2:
                yield from conv(f"decoder.upsamples.{index}.time_conv", size * 2, size, 3, 1, 1)
            size, index = size // 2, index + 1
    yield "decoder.head.0.gamma", (size, 1, 1, 1)
    yield from conv("decoder.head.2", 3, size, 3, 3, 3)
