"""Seamless pictures: convolutions that see the opposite edge beyond the picture's own. A desired state of a model."""

from __future__ import annotations

from typing import Literal

from torch import nn


def tile(network: nn.Module, on: bool) -> None:
    """Let every 2-D convolution of a network pad around (on) or with zeros, as it was made.

    They all do alike, so that the first one tells whether there is anything to do.
    """
    mode: Literal["circular", "zeros"] = "circular" if on else "zeros"
    layers = (layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    for layer in layers:
        if layer.padding_mode == mode:
            return
        layer.padding_mode = mode


def can(network: nn.Module) -> bool:
    """Whether it has convolutions that look beyond a border: transformers have none, and `tile` changes nothing."""
    return any(isinstance(layer, nn.Conv2d) and any(map(bool, layer.padding)) for layer in network.modules())
