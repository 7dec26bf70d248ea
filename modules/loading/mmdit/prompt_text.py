"""A prompt set into a sentence for a language model, whose states are what the transformer is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

from modules.loading.mmdit.causal import Decoder, plain
from modules.loading.mmdit.text import Remembering
from modules.loading.text import Encoding
from modules.prompts.chunks import TextPolicy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """before, after: what stands around a prompt; negative_before: what stands before a negative one.

    special: the tokenizer's own first mark comes too; silent: the states of `before` are left out; layers: which are
    read (see `Decoder`); most: tokens that are kept of all.
    """

    before: str = ""
    negative_before: str = ""
    after: str = ""
    special: bool = False
    silent: bool = False
    layers: tuple[int, ...] = (-2,)
    most: int = 512


class PromptText(Remembering):
    """A `TextModel`: tokens (as many as there are, width), pooled (1,): how many."""

    def __init__(self, decoder: Decoder, setting: Setting, *, device: torch.device) -> None:
        super().__init__({"text": decoder}, width=decoder.width * len(setting.layers), device=device)
        self._decoder = decoder
        self._setting = setting

    def _encode(self, texts: Mapping[str, int], policy: TextPolicy, *, negative: bool) -> dict[str, Encoding]:
        return {text: self._one(plain(text, policy), negative=negative) for text in texts}

    def _one(self, text: str, *, negative: bool) -> Encoding:
        setting = self._setting
        before = setting.negative_before if negative else setting.before
        ids = self._decoder.ids(before + text + setting.after, special=setting.special)
        skipped = len(self._decoder.ids(before, special=setting.special)) if setting.silent else 0
        hidden = self._decoder(ids[: setting.most + skipped], setting.layers)[skipped:].float()
        return Encoding(hidden, torch.tensor([float(len(hidden))]))  # on the CPU: no step waits for it
