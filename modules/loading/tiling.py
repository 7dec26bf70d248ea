"""Seamless pictures: convolutions that see the opposite edge beyond the picture's own. A desired state of a model."""

from __future__ import annotations

from torch import nn


def tile(network: nn.Module, on: bool) -> None:
    """Let every 2-D convolution of a network pad around (on) or with zeros, as it was made."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "circular" if on else "zeros"


def can(network: nn.Module) -> bool:
    """Whether it has convolutions that look beyond a border: transformers have none, and `tile` changes nothing."""
    return any(isinstance(layer, nn.Conv2d) and any(map(bool, layer.padding)) for layer in network.modules())
