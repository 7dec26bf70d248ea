"""Prompts to conditioning: chunks of 75 tokens, emphasis, clip skip, exactly as A1111 encodes them.

`TextEncoder` runs a CLIP tower over the chunks that `prompts.chunks` makes.
"""

from __future__ import annotations

import html
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from modules.core.errors import BadRequest
from modules.loading.family import TextTower
from modules.prompts import tokens
from modules.prompts.chunks import Chunk, TextPolicy, Word, Words, chunked

KEPT = 64
"""Encoded prompts kept for jobs that share them."""
AT_ONCE = 64
"""Chunks in one pass of the tower."""
PADS = {"clip": tokens.END, "open_clip": 0}
"""By a tower's layout: the token behind the end of a prompt."""
PLAIN = TextTower(prefix="", layout="clip", activation="quick_gelu")
"""Stable Diffusion 1's way of reading a tower."""


class Encoding(NamedTuple):
    """What a text says to a model: tokens (77 * chunks, width); pooled (V,): one vector for all of it, or None."""

    tokens: Tensor
    pooled: Tensor | None = None


class TextModel(Protocol):
    """All text encoders of a model as one."""

    @property
    def towers(self) -> Mapping[str, nn.Module]:
        """Its networks: "text", "text2" … as `networks.names` calls them."""
        ...

    @property
    def width(self) -> int:
        """Channels of a token."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of a token in each tower that textual inversion knows; its vectors are these side by side."""
        ...

    @property
    def words(self) -> Words:
        """The words of textual inversion that are known now."""
        ...

    def learn(self, vectors: Mapping[str, Tensor]) -> None:
        """The words of textual inversion: name -> vectors (n, width), in place of those before."""
        ...

    def encode(self, text: str, policy: TextPolicy) -> Tensor:
        """The tokens of one text: (1, 77 * chunks, width)."""
        ...

    def encode_together(
        self, texts: Sequence[str], policy: TextPolicy, *, negative: bool = False
    ) -> tuple[Encoding, ...]:
        """The texts that one prompt takes in turn; negative: it is the negative prompt."""
        ...

    def forget(self) -> None:
        """Drop what is kept: weights have changed."""
        ...


class TextEncoder:
    """A CLIP tower with A1111's reading of prompts."""

    def __init__(self, tower: nn.Module, device: torch.device, facts: TextTower = PLAIN) -> None:
        self.tower = tower
        self._device = device
        self.facts = facts
        self._cache: OrderedDict[tuple[tuple[str, ...], TextPolicy], dict[str, Encoding]] = OrderedDict()
        self._vectors: Mapping[str, Tensor] = {}
        self.words = Words()

    @property
    def towers(self) -> Mapping[str, nn.Module]:
        return {"text": self.tower}

    @property
    def width(self) -> int:
        """Channels of a token."""
        return int(self._token_embedding.weight.shape[1])

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.width,)

    def learn(self, vectors: Mapping[str, Tensor]) -> None:
        """The words of textual inversion: name -> vectors (n, width), in place of those before.

        The same set again costs nothing; another one drops what is kept.
        """
        same = vectors.keys() == self._vectors.keys() and all(vectors[name] is self._vectors[name] for name in vectors)
        if same:
            return
        self._vectors = dict(vectors)
        self.words = Words(Word(name, tuple(tokens.encode(name)), len(vectors[name])) for name in vectors)
        self.forget()

    def encode(self, text: str, policy: TextPolicy) -> Tensor:
        """Conditioning of one prompt: (1, 77 * chunks, width) in the tower's number format; the last ones are kept."""
        return self.encode_together((text,), policy)[0].tokens.unsqueeze(0)

    def encode_together(
        self, texts: Sequence[str], policy: TextPolicy, *, negative: bool = False
    ) -> tuple[Encoding, ...]:
        """Conditioning of the texts that one prompt takes in turn: (77 * most chunks, width) for each; pooled: that of
        the first chunk.

        As in A1111, shorter ones are filled with empty chunks, and "Original" emphasis keeps the mean of all of them
        together, chunk by chunk, where a text that comes twice counts twice. Equal texts share one tensor.
        """
        key = (tuple(texts), policy)
        found = self._cache.pop(key, None)
        self._cache[key] = self._encode(Counter(texts), policy) if found is None else found
        if len(self._cache) > KEPT:
            self._cache.popitem(last=False)
        return tuple(self._cache[key][text] for text in texts)

    def forget(self) -> None:
        """Drop what is kept: the tower's weights have changed."""
        self._cache.clear()

    def _encode(self, texts: Mapping[str, int], policy: TextPolicy) -> dict[str, Encoding]:
        """texts: how often each comes."""
        cut = [chunked(self._read(text, policy), policy, self.words)[0] for text in texts]
        most = max(len(chunks) for chunks in cut)
        filled = [chunks + [Chunk().closed()] * (most - len(chunks)) for chunks in cut]
        every = [chunk for chunks in filled for chunk in chunks]
        parts = (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE))
        answers = [self._states(part, policy) for part in parts]
        hidden = torch.cat([states for states, _ in answers])
        hidden = hidden.reshape(len(filled), most, *hidden.shape[1:])
        pooled = [None] * len(filled)
        if self.facts.pooled:
            pooled = list(torch.cat([vectors for _, vectors in answers if vectors is not None])[::most])
        if policy.emphasis not in ("None", "Ignore"):
            weights = torch.tensor([[chunk.weights for chunk in chunks] for chunks in filled])
            times = torch.tensor(list(texts.values())) if policy.emphasis == "Original" else None
            hidden = weighted(hidden, weights.to(hidden), None if times is None else times.to(hidden))
        return {text: Encoding(*each) for text, *each in zip(texts, hidden.flatten(1, 2), pooled, strict=True)}

    def _read(self, text: str, policy: TextPolicy) -> str:
        """OpenCLIP's tokenizer reads HTML's names of characters, and A1111 never gave it the old emphasis."""
        if self.facts.layout == "clip":
            return text
        if policy.old:
            raise BadRequest(
                "The old emphasis implementation is for Stable Diffusion 1 only: turn it off for this checkpoint.",
                field="use_old_emphasis_implementation",
            )
        return html.unescape(html.unescape(text))

    def _states(self, chunks: Sequence[Chunk], policy: TextPolicy) -> tuple[Tensor, Tensor | None]:
        """Hidden states (chunks, 77, width), pooled ones (chunks, V), the user's own words read as their vectors."""
        pad = PADS[self.facts.layout]
        ids = torch.tensor([_padded(chunk.ids, pad) for chunk in chunks], device=self._device)
        with self._placed(chunks):
            return self._hidden(ids, policy)

    @property
    def _token_embedding(self) -> nn.Embedding:
        embedding: nn.Embedding = self.tower.get_input_embeddings()  # type: ignore[operator]
        return embedding

    @contextmanager
    def _placed(self, chunks: Sequence[Chunk]) -> Iterator[None]:
        """While it lasts, the tower finds the vectors of the user's own words at their places in these chunks."""
        places = [(row, place, word.name) for row, chunk in enumerate(chunks) for place, word in chunk.words]
        if not places:
            yield
            return

        def put(module: nn.Module, given: tuple[Tensor, ...], embedded: Tensor) -> Tensor:
            embedded = embedded.clone()
            for row, place, name in places:
                vectors = self._vectors[name].to(embedded)
                embedded[row, place : place + len(vectors)] = vectors
            return embedded

        handle = self._token_embedding.register_forward_hook(put)
        try:
            yield
        finally:
            handle.remove()

    def _hidden(self, ids: Tensor, policy: TextPolicy) -> tuple[Tensor, Tensor | None]:
        """ids (chunks, 77) -> hidden states (chunks, 77, width) of the layer that is read, and pooled ones (chunks, V).

        Clip skip moves the layer only where it is the last one, and in SDXL's first tower if asked to.
        """
        layer = self.facts.layer
        back = policy.skip if layer == "skip" else 2
        if layer == "hidden" and self.facts.layout == "clip" and policy.skip_sdxl:
            back = policy.skip
        if layer == "skip" and back <= 1:
            return self.tower(input_ids=ids).last_hidden_state, None
        answer = self.tower(input_ids=ids, output_hidden_states=True)
        states: Tensor = answer.hidden_states[max(-back, -len(answer.hidden_states))]
        if layer != "hidden":
            states = self.tower.final_layer_norm(states)  # type: ignore[operator]
        if not self.facts.pooled:
            return states, None
        pooled: Tensor = self.tower.text_projection(answer.pooler_output)  # type: ignore[operator]
        return states, pooled


def _padded(ids: Sequence[int], pad: int) -> list[int]:
    """77 token ids with this one behind the first end."""
    end = ids.index(tokens.END) + 1
    return [*ids[:end], *[pad] * (len(ids) - end)]


def weighted(hidden: Tensor, weights: Tensor, times: Tensor | None) -> Tensor:
    """Multiply tokens by their weights, then scale each chunk back to the mean that it had over all texts ("Original").

    hidden (texts, chunks, 77, width), weights (texts, chunks, 77), times (texts,): how often a text counts; None: leave
    the means as they come.
    """
    scaled = hidden * weights.unsqueeze(-1)
    if times is None:
        return scaled
    share = (times / times.sum()).unsqueeze(-1)
    before, after = ((states.mean(dim=(2, 3)) * share).sum(0) for states in (hidden, scaled))
    return scaled * (before / after).reshape(1, -1, 1, 1)
