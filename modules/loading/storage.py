"""Weights kept in 8 bits: half of float16's memory for the denoiser, at the price of some fidelity.

Each layer's weights are widened for the time in which it computes (diffusers' layer-wise casting). What was lost cannot
be had back but from the file, so the shelf keeps such a model apart from the whole one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import torch
from torch import nn

from modules.loading.packed import Packed

EIGHT_BITS = torch.float8_e4m3fn
LAYERS = (nn.Linear, nn.Conv2d)
"""What is kept in 8 bits; norms and embeddings stay as they are."""


def wanted(options: Mapping[str, Any], family: str | None) -> bool:
    """Whether the option `fp8_storage` means models of this family (`Family.id`)."""
    way = options["fp8_storage"]
    return way == "Enable" or (way == "Enable for SDXL" and (family or "").startswith("sdxl"))


class Ways(TypedDict):
    """How a model's weights are kept: words of `Shelf.get`. packed: those of quantized files as they are there."""

    eight_bits: bool
    packed: bool


def ways(options: Mapping[str, Any], family: str | None) -> Ways:
    """What the options want of a model of a family (its id). Who asks the shelf otherwise gets the model twice."""
    return {"eight_bits": wanted(options, family), "packed": options["quantized_weights"] == "Packed"}


def compress(network: nn.Module, dtype: torch.dtype) -> None:
    """Keep the weights of a network's layers in 8 bits; it computes in `dtype` as before. Packed ones stay as they are:
    they are no larger, and whole.
    """
    from diffusers.hooks.layerwise_casting import apply_layerwise_casting_hook

    for module in network.modules():
        if isinstance(module, LAYERS) and not isinstance(module.weight, Packed):
            apply_layerwise_casting_hook(module, EIGHT_BITS, dtype, non_blocking=False)
