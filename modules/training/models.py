"""The three parts of a Stable Diffusion 1 model at any size, with fresh weights.

They are the classes of diffusers and transformers that `loading.loader` fills from a file: what was trained is what
is later loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from modules.loading import loader
from modules.loading.families import CLIP_L
from modules.prompts import tokens
from modules.training.recipes import TextSize, UnetSize, VaeSize

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import CLIPTextModel

LATENT = 4
"""Channels of SD1's latent space."""
GUIDANCE = 3.0
"""The CFG scale at which models of these sizes follow captions best."""
SCALE = 0.18215
"""Model latent = VAE latent * SCALE, fixed by the format; `vae.fold` makes the VAE fit it."""
PLACES = 77
"""Tokens that the tower reads at once."""
HEADS = 8
"""Attention heads of every layer of SD1's UNet."""


def seeded(seed: int) -> None:
    """Fix the weights that are made next."""
    loader.import_libraries()
    torch.manual_seed(seed)


def vae(size: VaeSize) -> AutoencoderKL:
    """An autoencoder with f = 8 where there are four levels."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    levels = len(size.channels)
    return AutoencoderKL(
        block_out_channels=size.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=size.blocks,
        latent_channels=LATENT,
    )


def text(size: TextSize) -> CLIPTextModel:
    """A CLIP text tower over the whole vocabulary."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=size.vocabulary,
            hidden_size=size.width,
            intermediate_size=size.width * 4,
            num_hidden_layers=size.layers,
            num_attention_heads=size.width // CLIP_L.head_width,
            max_position_embeddings=PLACES,
            hidden_act=CLIP_L.activation,
            projection_dim=size.width,
            bos_token_id=tokens.START,
            eos_token_id=tokens.END,
            pad_token_id=tokens.END,
        )
    )


def unet(size: UnetSize, width: int, *, inputs: int = LATENT) -> UNet2DConditionModel:
    """A conditional UNet; width: of the text tower; inputs: 9 for an inpainting model."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel(
        in_channels=inputs,
        out_channels=LATENT,
        block_out_channels=size.channels,
        down_block_types=tuple("CrossAttnDownBlock2D" if each else "DownBlock2D" for each in size.attention),
        up_block_types=tuple("CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(size.attention)),
        layers_per_block=size.blocks,
        cross_attention_dim=width,
        attention_head_dim=HEADS,
    )


def hidden(tower: nn.Module, ids: Tensor) -> Tensor:
    """ids (B, 77) -> what the UNet attends to (B, 77, width)."""
    states: Tensor = tower(input_ids=ids).last_hidden_state
    return states


def token_ids(texts: list[str]) -> Tensor:
    """Texts -> (B, 77), framed and filled as SD1 does; what is too long is cut."""
    rows = []
    for each in texts:
        ids = [tokens.START, *tokens.encode(each)[: PLACES - 2]]
        rows.append(ids + [tokens.END] * (PLACES - len(ids)))
    return torch.tensor(rows)


def count(module: nn.Module) -> int:
    """Numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters())
