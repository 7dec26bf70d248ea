"""Laws of sizes: shapes of the released models give the published configurations, those of a toy its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from modules.loading.configs.unet import Shapes
from modules.loading.mmdit import causal, chroma, flux, flux2, nextdit, qwen, sd3, t5
from tests.loading.mmdit import layouts

Case = tuple[Iterable[tuple[str, tuple[int, ...]]], Callable[[Shapes], dict[str, Any]], dict[str, Any]]

CASES: dict[str, Case] = {
    "sd3 medium": (
        layouts.sd3(layers=24, heads=24),
        sd3.config,
        {"num_layers": 24, "num_attention_heads": 24, "attention_head_dim": 64, "qk_norm": None},
    ),
    "sd3.5 medium": (
        layouts.sd3(layers=24, heads=24, normed=True, dual=13),
        sd3.config,
        {"dual_attention_layers": tuple(range(13)), "qk_norm": "rms_norm", "caption_projection_dim": 1536},
    ),
    "sd3.5 large": (
        layouts.sd3(layers=38, heads=38, normed=True),
        sd3.config,
        {"num_layers": 38, "num_attention_heads": 38, "dual_attention_layers": (), "in_channels": 16},
    ),
    "flux dev": (
        layouts.flux(double=19, single=38, heads=24, head=128),
        flux.config,
        {"num_layers": 19, "num_single_layers": 38, "axes_dims_rope": (16, 56, 56), "guidance_embeds": True},
    ),
    "flux schnell": (
        layouts.flux(double=19, single=38, heads=24, head=128, guided=False),
        flux.config,
        {"num_attention_heads": 24, "attention_head_dim": 128, "in_channels": 64, "guidance_embeds": False},
    ),
    "chroma": (
        layouts.chroma(double=19, single=38, heads=24, head=128),
        chroma.config,
        {"num_layers": 19, "approximator_num_channels": 64, "approximator_layers": 2},
    ),
    "flux2 dev": (
        layouts.flux2(double=8, single=48, heads=48, head=128),
        flux2.config,
        {"num_attention_heads": 48, "axes_dims_rope": (32, 32, 32, 32), "in_channels": 128, "guidance_embeds": True},
    ),
    "lumina2": (
        layouts.lumina2(layers=26, heads=24, keys=8, head=96),
        nextdit.lumina_config,
        {"num_layers": 26, "num_kv_heads": 8, "num_attention_heads": 24, "axes_dim_rope": (32, 32, 32)},
    ),
    "z-image": (
        layouts.z_image(layers=30, heads=30, head=128),
        nextdit.z_config,
        {"n_layers": 30, "n_heads": 30, "dim": 3840, "axes_dims": [32, 48, 48]},
    ),
    "qwen-image": (
        layouts.qwen_image(layers=60, heads=24, head=128),
        qwen.config,
        {"num_layers": 60, "num_attention_heads": 24, "axes_dims_rope": (16, 56, 56), "out_channels": 16},
    ),
    "qwen's vae": (
        layouts.video_vae(base=96),
        qwen.vae_config,
        {"base_dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4]},
    ),
    "t5": (
        layouts.t5(4096, 24, vocabulary=32128, heads=64),
        t5.config,
        {"d_model": 4096, "num_layers": 24, "num_heads": 64, "vocab_size": 32128},
    ),
    "gemma 2 2b": (
        layouts.language_model(width=2304, layers=26, heads=8, keys=4, head=256, kind="gemma2"),
        lambda shapes: causal.config(causal.GEMMA2, shapes),
        {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "num_hidden_layers": 26},
    ),
    "qwen 3 4b": (
        layouts.language_model(width=2560, layers=36, heads=32, keys=8, head=128, kind="qwen3"),
        lambda shapes: causal.config(causal.QWEN3, shapes),
        {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "hidden_size": 2560},
    ),
    "qwen 2.5 vl 7b": (
        layouts.language_model(width=3584, layers=28, heads=28, keys=4, head=128, kind="qwen2"),
        lambda shapes: causal.config(causal.QWEN25, shapes),
        {"num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_published_configuration(case: str) -> None:
    shapes, config, published = CASES[case]
    found = config(dict(shapes))
    assert {name: found[name] for name in published} == published


def test_a_released_feed_forward_keeps_its_width() -> None:
    """diffusers takes a ratio and cuts off what is behind the point: 9216 rows must not become 9215."""
    for width, inner in ((2304, 9216), (96, 288), (3072, 8191)):
        shapes = {
            "x_embedder.weight": (width, 64),
            "layers.0.attention.q_norm.weight": (width // 2,),
            "layers.0.attention.qkv.weight": (width * 3, width),
            "layers.0.feed_forward.w1.weight": (inner, width),
            "cap_embedder.1.weight": (width, width),
        }
        assert int(nextdit.lumina_config(shapes)["ffn_dim_multiplier"] * 4 * width) == inner
