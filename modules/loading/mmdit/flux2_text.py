"""Flux.2's text: a chat with a language model, filled up to 512 tokens, read at three depths.

The filling is not seen by the language model, but the transformer sees its states; it was trained so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from modules.loading.mmdit.causal import Decoder, plain
from modules.loading.mmdit.text import Remembering
from modules.loading.text import Encoding
from modules.prompts.chunks import TextPolicy

PLACES = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chat:
    """before, after: what stands around a prompt; filling: the token that fills up; left: it stands before the text;
    depths: the layers that are read; special: the tokenizer's first mark comes too.
    """

    before: str
    after: str
    filling: str
    left: bool
    depths: tuple[int, ...]
    special: bool

    def layers(self, depth: int) -> tuple[int, ...]:
        """Layers of a model this deep; one that is too shallow for them (a toy) is read at its quarters."""
        return self.depths if depth >= max(self.depths) else tuple(depth * part // 4 for part in (1, 2, 3))


_SYSTEM = (
    "You are an AI that reasons about image descriptions. You give structured responses focusing on object "
    "relationships, object\nattribution and actions without speculation."
)
DEV = Chat(
    before=f"[SYSTEM_PROMPT]{_SYSTEM}[/SYSTEM_PROMPT][INST]",
    after="[/INST]",
    filling="<pad>",
    left=True,
    depths=(10, 20, 30),
    special=True,
)
KLEIN = Chat(
    before="<|im_start|>user\n",
    after="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    filling="<|endoftext|>",
    left=False,
    depths=(9, 18, 27),
    special=False,
)


class Flux2Text(Remembering):
    """A `TextModel`: tokens (512, width * 3); no pooled vector."""

    def __init__(self, decoder: Decoder, chat: Chat, *, device: torch.device) -> None:
        super().__init__({"text": decoder}, width=decoder.width * len(chat.depths), device=device)
        self._decoder = decoder
        self._chat = chat

    def _encode(self, texts: Mapping[str, int], policy: TextPolicy, *, negative: bool) -> dict[str, Encoding]:
        return {text: Encoding(self._one(plain(text, policy))) for text in texts}

    def _one(self, text: str) -> Tensor:
        chat = self._chat
        ids = self._decoder.ids(chat.before + text + chat.after, special=chat.special)[:PLACES]
        filling, seen = [self._decoder.id_of(chat.filling)] * (PLACES - len(ids)), [1] * len(ids)
        unseen = [0] * len(filling)
        every, mask = (filling + ids, unseen + seen) if chat.left else (ids + filling, seen + unseen)
        hidden: Tensor = self._decoder(every, chat.layers(self._decoder.depth), mask)
        return hidden.float()
