"""Sizes are read from shapes: what diffusers' classes are made with comes back from their tensors alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from extensions.controlnet import layouts, marks
from modules.core import device
from modules.core.errors import DamagedFile
from modules.loading import parts
from tests.extensions.controlnet import nets

XL: dict[str, Any] = {
    "block_out_channels": (64, 128),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "transformer_layers_per_block": (1, 2),
    "cross_attention_dim": 96,
    "attention_head_dim": (1, 2),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 1600,
    "conditioning_embedding_out_channels": (8, 16),
}
SMALL = XL | {"down_block_types": ("DownBlock2D", "DownBlock2D"), "mid_block_type": "UNetMidBlock2D"}


@pytest.mark.parametrize("settings", [XL, SMALL], ids=["attention", "none"])
def test_a_controlnet_of_sdxl_is_built_from_its_shapes(settings: dict[str, Any]) -> None:
    from diffusers.models.controlnets.controlnet import ControlNetModel

    with torch.device("meta"):
        made = ControlNetModel(**settings)
    found = layouts.config(parts.shapes(made.state_dict()))
    unread = {"attention_head_dim", "cross_attention_dim", "use_linear_projection", "transformer_layers_per_block"}
    for name, value in settings.items():
        if name not in unread or (settings is XL and name != "transformer_layers_per_block"):
            assert found[name] == value, name
    with torch.device("meta"):
        again = ControlNetModel(**found)
    assert parts.shapes(again.state_dict()) == parts.shapes(made.state_dict())


@pytest.mark.parametrize(
    ("kind", "channels", "factor"),
    [("full_adapter_xl", [16, 32, 64, 64], 16), ("light_adapter", [16, 32, 64], 8), ("full_adapter", [16, 32], 8)],
)
def test_a_t2i_adapter_is_built_from_its_shapes(kind: str, channels: list[int], factor: int) -> None:
    from diffusers.models.adapter import T2IAdapter

    made = T2IAdapter(channels=channels, num_res_blocks=2, in_channels=3, downscale_factor=factor, adapter_type=kind)
    found = layouts.t2i(made.state_dict(), device.choose(use_cpu=["all"]))
    shown = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        for one, other in zip(found(shown), made(shown), strict=True):
            assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lora_controlnet", "Control-LoRA"),
        ("task_embedding", "Union"),
        ("lllite_unet.down.0", "LLLite"),
        ("double_blocks.0.img_mod", "Flux"),
        ("something.else", "no known kind"),
    ],
)
def test_what_is_not_built_is_refused_by_name(tmp_path: Any, name: str, words: str) -> None:
    nets.save({name: torch.zeros(2)}, tmp_path / "odd.safetensors")
    with pytest.raises(DamagedFile, match=words):
        layouts.load(tmp_path / "odd.safetensors", device.choose(use_cpu=["all"]))


def test_half_a_file_is_refused(tmp_path: Any) -> None:
    weights = {name: each for name, each in nets.ldm().items() if "zero_convs.3" not in name}
    nets.save(weights, tmp_path / "half.safetensors")
    assert marks.kind(weights) == marks.CONTROLNET
    with pytest.raises(DamagedFile, match="not a complete ControlNet"):
        layouts.load(tmp_path / "half.safetensors", device.choose(use_cpu=["all"]))
