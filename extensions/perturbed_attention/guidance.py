"""Perturbed attention guidance (Ahn et al. 2024, https://arxiv.org/abs/2403.17377), for UNets of diffusers' layout.

The model is asked once more with the prompt, the self-attention of its middle block being replaced by the identity:
denoised += scale * (positive - perturbed).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from modules.core.errors import BadRequest
from modules.generate.moments import Guided, ModelCalled, Sampling


class PerturbedAttention:
    """The listeners of one job."""

    def __init__(self, values: Mapping[str, Any], studio: object, request: object) -> None:
        self._values = values
        self._active = True
        self._calls = 1
        self._unet: nn.Module | None = None

    def sampling(self, event: Sampling) -> None:
        """Raises BadRequest for a model that is no UNet."""
        self._calls, self._unet = event.plan.calls, event.model.unet
        if not middle(self._unet):
            message = "Perturbed attention guidance works on UNets (SD1, SD2, SDXL): switch it off for this model."
            raise BadRequest(message, field="PAG")

    def model_called(self, event: ModelCalled) -> None:
        share = event.call / max(self._calls - 1, 1)
        self._active = self._values["start"] <= share <= self._values["end"] and self._values["scale"] > 0

    def guided(self, event: Guided) -> None:
        if not self._active or self._unet is None:
            return
        owners = list(event.conditioning.owners)
        with without_attention(self._unet):
            perturbed = event.ask(event.x[owners], event.sigma, event.conditioning.positive)
        first = [owners.index(picture) for picture in range(len(event.x))]
        event.denoised = event.denoised + self._values["scale"] * (event.positive - perturbed[first])


def middle(unet: nn.Module) -> list[Any]:
    """The self-attentions of the middle block; none where there is no such block."""
    block = getattr(unet, "mid_block", None)
    parts = getattr(block, "attentions", None) or ()
    return [layer.attn1 for part in parts for layer in part.transformer_blocks]


@contextlib.contextmanager
def without_attention(unet: nn.Module) -> Iterator[None]:
    """Each place of the middle block looks at itself alone."""
    before = [(attention, attention.processor) for attention in middle(unet)]
    try:
        for attention, _ in before:
            attention.processor = Identity()
        yield
    finally:
        for attention, processor in before:
            attention.processor = processor


class Identity:
    """An attention processor: every place gets its own value."""

    def __call__(self, attn: Any, hidden_states: Tensor, *args: object, **others: object) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        result: Tensor = attn.to_out[0](attn.to_v(hidden_states))
        return result
