"""Flux's two text encoders: T5 says what is where, CLIP-L's one vector what it is about."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from modules.loading.mmdit.t5 import T5Encoder
from modules.loading.mmdit.text import Remembering, emphasised
from modules.loading.text import Encoding
from modules.prompts import tokens
from modules.prompts.chunks import TextPolicy, chunked


class FluxText(Remembering):
    """A `TextModel`: tokens (places, or as many as the longest text has, width), pooled (CLIP-L's of 75 tokens)."""

    def __init__(self, clip: nn.Module, t5: T5Encoder, *, places: int, device: torch.device) -> None:
        width = int(t5.model.config.d_model)  # type: ignore[union-attr, arg-type]
        super().__init__({"text": clip, "text2": t5}, width=width, device=device)
        self._clip = clip
        self._t5 = t5
        self._places = places

    def _encode(self, texts: Mapping[str, int], policy: TextPolicy, *, negative: bool) -> dict[str, Encoding]:
        read = [self._t5.tokens(text, policy) for text in texts]
        count = max(self._places, *(len(each.ids) for each in read))
        sized = [each.sized(count, cut=False) for each in read]
        hidden = self._t5([each.ids for each in sized]).unsqueeze(1)
        weights = [[each.weights] for each in sized]
        hidden = emphasised(hidden.float(), weights, list(texts.values()), policy.emphasis)[:, 0]
        pooled = self._pooled(list(texts), policy)
        return {text: Encoding(*each) for text, *each in zip(texts, hidden, pooled, strict=True)}

    def _pooled(self, texts: list[str], policy: TextPolicy) -> torch.Tensor:
        """The state of the end mark behind each text's first chunk, after the final norm: (texts, V)."""
        ids = torch.tensor([chunked(text, policy, self.words)[0][0].ids for text in texts], device=self._device)
        ends = (ids == tokens.END).int().argmax(dim=-1)
        last: torch.Tensor = self._clip(input_ids=ids).last_hidden_state
        return last[torch.arange(len(ids), device=self._device), ends]
