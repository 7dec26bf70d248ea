"""What the text encoders of transformers share: they remember what they encoded, and know no textual inversion."""

from __future__ import annotations

import abc
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from modules.loading.text import KEPT, Encoding, weighted
from modules.prompts.chunks import TextPolicy, Words


class Remembering(abc.ABC):
    """A `TextModel` without its `_encode`. width: channels of a token; towers: its networks by name."""

    def __init__(self, towers: Mapping[str, nn.Module], *, width: int, device: torch.device) -> None:
        self.towers: Mapping[str, nn.Module] = towers
        self.width = width
        self.widths: tuple[int, ...] = ()
        self.words = Words()
        self._device = device
        self._cache: OrderedDict[tuple[tuple[str, ...], TextPolicy, bool], dict[str, Encoding]] = OrderedDict()

    def learn(self, vectors: Mapping[str, Tensor]) -> None:  # noqa: B027 (right for all of them)
        """No embedding has been trained for these encoders: words stay words."""

    def encode(self, text: str, policy: TextPolicy) -> Tensor:
        """The tokens of one text: (1, tokens, width)."""
        return self.encode_together((text,), policy)[0].tokens.unsqueeze(0)

    def encode_together(
        self, texts: Sequence[str], policy: TextPolicy, *, negative: bool = False
    ) -> tuple[Encoding, ...]:
        """The texts that one prompt takes in turn; the last ones are kept."""
        key = (tuple(texts), policy, negative)
        found = self._cache.pop(key, None)
        self._cache[key] = self._encode(Counter(texts), policy, negative=negative) if found is None else found
        if len(self._cache) > KEPT:
            self._cache.popitem(last=False)
        return tuple(self._cache[key][text] for text in texts)

    def forget(self) -> None:
        """Drop what is kept: weights have changed."""
        self._cache.clear()

    @abc.abstractmethod
    def _encode(self, texts: Mapping[str, int], policy: TextPolicy, *, negative: bool) -> dict[str, Encoding]:
        """texts: how often each comes."""


def emphasised(hidden: Tensor, weights: Sequence[Sequence[Sequence[float]]], times: Sequence[int], mode: str) -> Tensor:
    """hidden (texts, chunks, tokens, width) times the weights (texts, chunks, tokens) under an emphasis mode.

    times (texts,): how often each text comes; texts alone carry no weights under "None" and "Ignore".
    """
    if mode in ("None", "Ignore"):
        return hidden
    share = torch.tensor(times).to(hidden) if mode == "Original" else None
    return weighted(hidden, torch.tensor(weights).to(hidden), share)
