"""Prompts to conditioning: chunks of 75 tokens, emphasis, clip skip, exactly as A1111 encodes them.

`TextEncoder` runs a CLIP tower over the chunks that `prompts.chunks` makes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modules.prompts.chunks import TextPolicy, chunked

KEPT = 64
"""Encoded prompts kept for jobs that share them."""


class TextEncoder:
    """A CLIP tower with A1111's reading of prompts."""

    def __init__(self, tower: nn.Module, device: torch.device) -> None:
        self.tower = tower
        self._device = device
        self._cache: OrderedDict[tuple[str, TextPolicy], Tensor] = OrderedDict()

    def encode(self, text: str, policy: TextPolicy) -> Tensor:
        """Conditioning of one prompt: (1, 77 * chunks, width) in the tower's number format; the last ones are kept."""
        key = (text, policy)
        found = self._cache.pop(key, None)
        self._cache[key] = self._encode(text, policy) if found is None else found
        if len(self._cache) > KEPT:
            self._cache.popitem(last=False)
        return self._cache[key]

    def encode_all(self, texts: Sequence[str], policy: TextPolicy) -> Tensor:
        """Conditioning of a batch: (B, 77 * most chunks, width); shorter ones repeat their last vector, as in A1111."""
        encoded = [self.encode(text, policy) for text in texts]
        most = max(each.shape[1] for each in encoded)
        return torch.cat([torch.cat([each, each[:, -1:].repeat(1, most - each.shape[1], 1)], 1) for each in encoded])

    def forget(self) -> None:
        """Drop what is kept: the tower's weights have changed."""
        self._cache.clear()

    def _encode(self, text: str, policy: TextPolicy) -> Tensor:
        chunks, _ = chunked(text, policy)
        ids = torch.tensor([chunk.ids for chunk in chunks], device=self._device)
        hidden = self._hidden(ids, policy.skip)
        if policy.emphasis not in ("None", "Ignore"):
            weights = torch.tensor([chunk.weights for chunk in chunks], dtype=hidden.dtype, device=hidden.device)
            hidden = weighted(hidden, weights, keep_mean=policy.emphasis == "Original")
        return hidden.reshape(1, -1, hidden.shape[-1])

    def _hidden(self, ids: Tensor, skip: int) -> Tensor:
        """ids (chunks, 77) -> final-normed hidden states (chunks, 77, width) of the layer that clip skip asks for."""
        if skip <= 1:
            last: Tensor = self.tower(input_ids=ids).last_hidden_state
            return last
        states: Sequence[Tensor] = self.tower(input_ids=ids, output_hidden_states=True).hidden_states
        final: Tensor = self.tower.final_layer_norm(states[max(-skip, -len(states))])  # type: ignore[operator]
        return final


def weighted(hidden: Tensor, weights: Tensor, *, keep_mean: bool) -> Tensor:
    """Multiply tokens by their weights; keep_mean then scales each chunk back to the mean it had ("Original").

    hidden (chunks, 77, width), weights (chunks, 77) -> (chunks, 77, width).
    """
    scaled = hidden * weights.unsqueeze(-1)
    if not keep_mean:
        return scaled
    before, after = hidden.mean(dim=(1, 2), keepdim=True), scaled.mean(dim=(1, 2), keepdim=True)
    return scaled * (before / after)
