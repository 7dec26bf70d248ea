"""Lumina Image 2 (Qin et al. 2025, https://arxiv.org/abs/2503.21758) and Z-Image (Tongyi 2025): one stream of text and
picture tokens, each refined alone first. Their time runs from noise (0) to picture (1), and so does their velocity.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from modules.core.process import RectifiedFlow, flow_levels
from modules.loading import parts
from modules.loading.configs.unet import Shapes
from modules.loading.mmdit import causal, encoders, names, patches, quantized
from modules.loading.mmdit.lengths import grouped, lengths
from modules.loading.mmdit.names import Rule, rows, rule, thirds
from modules.loading.mmdit.prompt_text import PromptText, Setting
from modules.loading.parts import Parts, Source, Weights
from modules.loading.prediction import TICKS, Given

LUMINA_SHIFT, Z_SHIFT = 6.0, 3.0
LUMINA_SETTING = Setting(
    before="You are an assistant designed to generate superior images with the superior degree of image-text alignment "
    "based on textual prompts or user prompts. <Prompt Start> ",
    special=True,
    most=256,
)
Z_BEFORE, Z_AFTER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
Z_SETTING = Setting(before=Z_BEFORE, negative_before=Z_BEFORE, after=Z_AFTER)


def build_lumina(source: Source) -> Parts:
    """All parts of a Lumina Image 2 checkpoint. What it raises: see `parts.Builder`."""
    weights = quantized.denoiser(source, "cap_embedder.")
    denoiser = lumina(weights, source)
    sizes: Any = denoiser.config
    width = weights["cap_embedder.1.weight"].shape[1]
    return Parts(
        denoiser=denoiser,
        ask=ask_lumina,
        text=PromptText(encoders.decoder(source, causal.GEMMA2, width), LUMINA_SETTING, device=source.placement.device),
        autoencoder=encoders.autoencoder(source, avoid="sd3"),
        levels=flow_levels(LUMINA_SHIFT),
        process=RectifiedFlow(),
        prediction="flow",
        rules=lumina_rules(sizes.hidden_size, sizes.num_kv_heads * (sizes.hidden_size // sizes.num_attention_heads)),
    )


def build_z(source: Source) -> Parts:
    """All parts of a Z-Image checkpoint. What it raises: see `parts.Builder`."""
    weights = quantized.denoiser(source, "cap_embedder.")
    denoiser = z_image(weights, source)
    width = weights["cap_embedder.1.weight"].shape[1]
    return Parts(
        denoiser=denoiser,
        ask=ask_z,
        text=PromptText(encoders.decoder(source, causal.QWEN3, width), Z_SETTING, device=source.placement.device),
        autoencoder=encoders.autoencoder(source, avoid="sd3"),
        levels=flow_levels(Z_SHIFT),
        process=RectifiedFlow(),
        prediction="flow",
        rules=Z_RULES,
    )


def ask_lumina(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call a `Lumina2Transformer2DModel`; time 0..1000; given.pooled (B, 1): tokens of each prompt."""
    even, height, width = patches.even(x)

    def part(some: Tensor, when: Tensor, given: Given) -> Tensor:
        answer: Tensor = denoiser(
            hidden_states=some,
            timestep=1 - when / TICKS,
            encoder_hidden_states=given.context.to(some.dtype),
            encoder_attention_mask=torch.ones(given.context.shape[:2], dtype=torch.bool, device=some.device),
            return_dict=False,
        )[0]
        return -answer

    return grouped(even, time, given, part)[..., :height, :width]


def ask_z(denoiser: nn.Module, x: Tensor, time: Tensor, given: Given) -> Tensor:
    """Call a `ZImageTransformer2DModel`; time 0..1000; given.pooled (B, 1): tokens of each prompt."""
    even, height, width = patches.even(x)
    texts = [text[:count].to(x.dtype) for text, count in zip(given.context, lengths(given), strict=True)]
    answers = denoiser(list(even.unsqueeze(2).unbind(0)), 1 - time / TICKS, texts, return_dict=False)[0]
    return -torch.stack([answer.squeeze(1) for answer in answers])[..., :height, :width]


def lumina(weights: Weights, source: Source) -> nn.Module:
    """The denoiser of Lumina Image 2."""
    from diffusers.models.transformers.transformer_lumina2 import Lumina2RotaryPosEmbed, Lumina2Transformer2DModel

    sizes = lumina_config(parts.shapes(weights))
    with torch.device("meta"):
        model = Lumina2Transformer2DModel(**sizes)
    model.rope_embedder = Lumina2RotaryPosEmbed(
        theta=10000, axes_dim=sizes["axes_dim_rope"], axes_lens=model.config.axes_lens, patch_size=patches.SIDE
    )  # it has no weights, but tables that no file stores
    head = sizes["hidden_size"] // sizes["num_attention_heads"]
    named = names.translated(weights, lumina_rules(sizes["hidden_size"], sizes["num_kv_heads"] * head))
    return parts.filled(model, named, source.home, source.placement.dtype)


def z_image(weights: Weights, source: Source) -> nn.Module:
    """The denoiser of Z-Image."""
    from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel

    with torch.device("meta"):
        model = ZImageTransformer2DModel(**z_config(parts.shapes(weights)))
    return parts.filled(model, names.translated(weights, Z_RULES), source.home, source.placement.dtype)


def lumina_config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for Lumina2Transformer2DModel. Raises KeyError."""
    width, patch = shapes["x_embedder.weight"]
    head = shapes["layers.0.attention.q_norm.weight"][0]
    inner = shapes["layers.0.feed_forward.w1.weight"][0]
    return {
        "in_channels": patch // patches.SIDE**2,
        "hidden_size": width,
        "num_layers": names.count(shapes, "layers."),
        "num_refiner_layers": names.count(shapes, "noise_refiner."),
        "num_attention_heads": width // head,
        "num_kv_heads": (shapes["layers.0.attention.qkv.weight"][0] - width) // 2 // head,
        "multiple_of": 1,
        "ffn_dim_multiplier": (inner + 0.5) / (4 * width),  # diffusers cuts off what is behind the point
        "axes_dim_rope": (head // 3,) * 3,
        "cap_feat_dim": shapes["cap_embedder.1.weight"][1],
    }


def z_config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for ZImageTransformer2DModel. Raises KeyError."""
    width, patch = shapes["x_embedder.weight"]
    head = shapes["layers.0.attention.q_norm.weight"][0]
    return {
        "in_channels": patch // patches.SIDE**2,
        "dim": width,
        "n_layers": names.count(shapes, "layers."),
        "n_refiner_layers": names.count(shapes, "noise_refiner."),
        "n_heads": width // head,
        "n_kv_heads": width // head,
        "cap_feat_dim": shapes["cap_embedder.1.weight"][1],
        "axes_dims": [head // 4, head * 3 // 8, head * 3 // 8],
    }


_UNUSED = rule("norm_final.weight", cut=lambda _: ())


def lumina_rules(width: int, keys: int) -> tuple[Rule, ...]:
    """How names change; keys: channels of all key heads together."""
    block = "*.*."
    return (
        _UNUSED,
        rule("cap_embedder.*.*", "time_caption_embed.caption_embedder.*.*"),
        rule("t_embedder.mlp.0.*", "time_caption_embed.timestep_embedder.linear_1.*"),
        rule("t_embedder.mlp.2.*", "time_caption_embed.timestep_embedder.linear_2.*"),
        rule(f"{block}attention.qkv.*", *(f"{block}attn.to_{part}.*" for part in "qkv"), cut=rows(width, keys, keys)),
        rule(f"{block}attention.out.*", f"{block}attn.to_out.0.*"),
        *(rule(f"{block}attention.{part}_norm.*", f"{block}attn.norm_{part}.*") for part in "qk"),
        *(rule(f"{block}feed_forward.w{part}.*", f"{block}feed_forward.linear_{part}.*") for part in "123"),
        rule(f"{block}adaLN_modulation.1.*", f"{block}norm1.linear.*"),
        rule("context_refiner.*.attention_norm1.*", "context_refiner.*.norm1.*"),
        rule(f"{block}attention_norm1.*", f"{block}norm1.norm.*"),
        rule(f"{block}attention_norm2.*", f"{block}norm2.*"),
        rule("final_layer.adaLN_modulation.1.*", "norm_out.linear_1.*"),
        rule("final_layer.linear.*", "norm_out.linear_2.*"),
    )


Z_RULES = (
    _UNUSED,
    rule("*.*.attention.qkv.*", *(f"*.*.attention.to_{part}.*" for part in "qkv"), cut=thirds),
    rule("*.*.attention.out.*", "*.*.attention.to_out.0.*"),
    *(rule(f"*.*.attention.{part}_norm.*", f"*.*.attention.norm_{part}.*") for part in "qk"),
    rule("x_embedder.*", "all_x_embedder.2-1.*"),
    rule("final_layer.linear.*", "all_final_layer.2-1.linear.*"),
    rule("final_layer.adaLN_modulation.*.*", "all_final_layer.2-1.adaLN_modulation.*.*"),
)
