"""Small network files for tests, made on the spot for the tiny SD1 model."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

TO_Q = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
Q_PROJ = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"


def lora(folder: Path, name: str, *, seed: int = 0, metadata: dict[str, str] | None = None, **more: Tensor) -> Path:
    """A LoRA of rank 2 on one layer of the UNet (32 wide) and one of the text encoder (64 wide)."""
    generator = torch.Generator().manual_seed(seed)
    tensors = dict(more)
    for layer, width in ((TO_Q, 32), (Q_PROJ, 64)):
        tensors[f"{layer}.lora_up.weight"] = torch.randn(width, 2, generator=generator)
        tensors[f"{layer}.lora_down.weight"] = torch.randn(2, width, generator=generator)
        tensors[f"{layer}.alpha"] = torch.tensor(1.0)
    return written(folder, name, tensors, metadata)


def written(folder: Path, name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / f"{name}.safetensors", metadata)
    return folder / f"{name}.safetensors"
