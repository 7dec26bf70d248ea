"""The text encoders of a Stable Diffusion XL model as one: tokens side by side, the last tower's pooled vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.loading.text import Encoding, TextEncoder
from modules.prompts.chunks import TextPolicy, Words

TOWERS = ("text", "text2")
"""What `networks.names` calls the towers, in order."""


class JoinedEncoder:
    """A `TextModel` of one or two encoders: the base model's CLIP-L and bigG, or the refiner's bigG alone."""

    def __init__(self, *encoders: TextEncoder) -> None:
        self.encoders = encoders
        self._vectors: Mapping[str, Tensor] = {}

    @property
    def towers(self) -> Mapping[str, nn.Module]:
        return {name: each.tower for name, each in zip(TOWERS, self.encoders, strict=False)}

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(each.width for each in self.encoders)

    @property
    def width(self) -> int:
        return sum(self.widths)

    @property
    def words(self) -> Words:
        return self.encoders[0].words

    def learn(self, vectors: Mapping[str, Tensor]) -> None:
        """name -> (n, width): the vectors for each tower side by side."""
        if vectors.keys() == self._vectors.keys() and all(vectors[name] is self._vectors[name] for name in vectors):
            return
        self._vectors = dict(vectors)
        parts = {name: torch.split(each, list(self.widths), dim=-1) for name, each in vectors.items()}
        for index, encoder in enumerate(self.encoders):
            encoder.learn({name: each[index] for name, each in parts.items()})

    def encode(self, text: str, policy: TextPolicy) -> Tensor:
        """(1, 77 * chunks, width)."""
        return self.encode_together((text,), policy)[0].tokens.unsqueeze(0)

    def encode_together(
        self, texts: Sequence[str], policy: TextPolicy, *, negative: bool = False
    ) -> tuple[Encoding, ...]:
        """tokens (77 * chunks, width), pooled (V,). An empty negative prompt is zeros: so these models were trained."""
        answers = zip(*(each.encode_together(texts, policy) for each in self.encoders), strict=True)
        together = tuple(_joined(each) for each in answers)
        return tuple(map(_nothing, together)) if negative and not any(texts) else together

    def forget(self) -> None:
        for each in self.encoders:
            each.forget()


def _joined(parts: Sequence[Encoding]) -> Encoding:
    """One text by all towers; where HTML in it makes one see fewer chunks, zeros stand for the rest."""
    most = max(len(each.tokens) for each in parts)
    filled = [functional.pad(each.tokens, (0, 0, 0, most - len(each.tokens))) for each in parts]
    return Encoding(torch.cat(filled, dim=-1), parts[-1].pooled)


def _nothing(encoding: Encoding) -> Encoding:
    pooled = encoding.pooled
    return Encoding(torch.zeros_like(encoding.tokens), None if pooled is None else torch.zeros_like(pooled))
