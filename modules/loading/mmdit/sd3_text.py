"""Stable Diffusion 3's three text encoders, read as A1111 reads them; any of them may be missing.

CLIP-L and bigG lie side by side (the layer before the last, without its norm) and are filled with zeros to T5's width;
T5's tokens follow, as many as CLIP's. T5 is asked only when the option `sd3_enable_t5` says so; zeros take its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.loading.mmdit.t5 import Later
from modules.loading.mmdit.text import Remembering, emphasised
from modules.loading.text import AT_ONCE, Encoding
from modules.prompts import tokens
from modules.prompts.chunks import Chunk, TextPolicy, chunked

PLACES = 77
"""Tokens of a chunk."""
LAYER = -2
"""The layer of a CLIP tower that is read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Towers:
    """CLIP-L and bigG. width, of_l: channels of both and of the first, whether they are there or not."""

    l: nn.Module | None  # noqa: E741 (its name)
    g: nn.Module | None
    width: int
    of_l: int

    @classmethod
    def of(cls, l: nn.Module | None, g: nn.Module | None, pooled: int) -> Towers:  # noqa: E741
        """pooled: channels of both pooled vectors together, as the transformer wants them. Raises ValueError."""
        sizes = [_width(tower) for tower in (l, g)]
        of_l = sizes[0] or pooled - (sizes[1] or 0)
        if l is not None and g is not None and sum(size or 0 for size in sizes) != pooled:
            raise ValueError(f"text encoders of {sizes[0]} and {sizes[1]} channels where {pooled} are wanted")
        return cls(l=l, g=g, width=pooled, of_l=of_l)

    def states(self, chunks: Sequence[Chunk], device: torch.device) -> tuple[Tensor, Tensor]:
        """(hidden states (chunks, 77, width), pooled ones (chunks, width)); zeros for a tower that is missing."""
        ids = torch.tensor([chunk.ids for chunk in chunks], device=device)
        left = _read(self.l, ids, self.of_l)
        right = _read(self.g, _ended(ids), self.width - self.of_l)
        return torch.cat([left[0], right[0]], dim=-1), torch.cat([left[1], right[1]], dim=-1)


class Sd3Text(Remembering):
    """A `TextModel`: tokens (154 * chunks, width), pooled (both CLIP vectors of the first chunk)."""

    def __init__(self, clip: Towers, t5: Later | None, *, width: int, device: torch.device) -> None:
        modules = {"text": clip.l, "text2": clip.g, "text3": t5}
        super().__init__(
            {name: module for name, module in modules.items() if module is not None}, width=width, device=device
        )
        self._clip = clip
        self._t5 = t5

    def _encode(self, texts: Mapping[str, int], policy: TextPolicy, *, negative: bool) -> dict[str, Encoding]:
        cut = [chunked(text, policy, self.words)[0] for text in texts]
        most = max(len(chunks) for chunks in cut)
        filled = [chunks + [Chunk().closed()] * (most - len(chunks)) for chunks in cut]
        clip, pooled = self._clip_states(filled, list(texts.values()), policy)
        t5 = self._t5_states(list(texts), clip.shape[1], policy)
        every = torch.cat([clip, t5.to(clip)], dim=1)
        return {text: Encoding(*each) for text, *each in zip(texts, every, pooled, strict=True)}

    def _clip_states(
        self, filled: Sequence[Sequence[Chunk]], times: Sequence[int], policy: TextPolicy
    ) -> tuple[Tensor, Tensor]:
        """(texts, 77 * chunks, width) with emphasis, and the first chunks' pooled vectors (texts, V)."""
        every = [chunk for chunks in filled for chunk in chunks]
        rounds = (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE))
        answers = [self._clip.states(part, self._device) for part in rounds]
        hidden, pooled = (torch.cat(each) for each in zip(*answers, strict=True))
        hidden, pooled = (each.reshape(len(filled), -1, *each.shape[1:]) for each in (hidden, pooled))
        if self._clip.l is not None or self._clip.g is not None:  # zeros have no mean to keep
            weights = [[chunk.weights for chunk in chunks] for chunks in filled]
            hidden = emphasised(hidden, weights, times, policy.emphasis)
        return functional.pad(hidden.flatten(1, 2), (0, self.width - self._clip.width)), pooled[:, 0]

    def _t5_states(self, texts: Sequence[str], count: int, policy: TextPolicy) -> Tensor:
        """(texts, count, width). Weights are read and let go, as in A1111."""
        if self._t5 is None or not policy.t5:
            return torch.zeros(len(texts), count, self.width, device=self._device)
        t5 = self._t5.get()
        answer: Tensor = t5([t5.tokens(text, policy).sized(count, cut=True).ids for text in texts])
        return answer


def _read(tower: nn.Module | None, ids: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """ids (n, 77) -> the layer that is read (n, 77, width), the vector of the end mark (n, width)."""
    if tower is None:
        return torch.zeros(*ids.shape, width, device=ids.device), torch.zeros(len(ids), width, device=ids.device)
    answer = tower(input_ids=ids, output_hidden_states=True)
    ends = (ids == tokens.END).int().argmax(dim=-1)
    last: Tensor = answer.last_hidden_state[torch.arange(len(ids), device=ids.device), ends]
    projection: nn.Module | None = tower.text_projection  # type: ignore[assignment]
    return answer.hidden_states[LAYER].float(), (last if projection is None else projection(last)).float()


def _ended(ids: Tensor) -> Tensor:
    """bigG has zeros behind the end mark."""
    ends = (ids == tokens.END).int().argmax(dim=-1, keepdim=True)
    return torch.where(torch.arange(ids.shape[1], device=ids.device) > ends, torch.zeros_like(ids), ids)


def _width(tower: nn.Module | None) -> int | None:
    return None if tower is None else int(tower.config.hidden_size)  # type: ignore[union-attr, arg-type]
