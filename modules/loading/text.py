"""Prompts to conditioning: chunks of 75 tokens, emphasis, clip skip, exactly as A1111 encodes them.

`TextEncoder` runs a CLIP tower over the chunks that `prompts.chunks` makes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from modules.prompts import tokens
from modules.prompts.chunks import Chunk, TextPolicy, Word, Words, chunked

KEPT = 64
"""Encoded prompts kept for jobs that share them."""
AT_ONCE = 64
"""Chunks in one pass of the tower."""


class TextEncoder:
    """A CLIP tower with A1111's reading of prompts."""

    def __init__(self, tower: nn.Module, device: torch.device) -> None:
        self.tower = tower
        self._device = device
        self._cache: OrderedDict[tuple[tuple[str, ...], TextPolicy], dict[str, Tensor]] = OrderedDict()
        self._vectors: Mapping[str, Tensor] = {}
        self.words = Words()

    @property
    def width(self) -> int:
        """Channels of a token."""
        return int(self._token_embedding.weight.shape[1])

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
        return self.encode_together((text,), policy)[0].unsqueeze(0)

    def encode_together(self, texts: Sequence[str], policy: TextPolicy) -> tuple[Tensor, ...]:
        """Conditioning of the texts that one prompt takes in turn: (77 * most chunks, width) for each.

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

    def _encode(self, texts: Mapping[str, int], policy: TextPolicy) -> dict[str, Tensor]:
        """texts: how often each comes."""
        cut = [chunked(text, policy, self.words)[0] for text in texts]
        most = max(len(chunks) for chunks in cut)
        filled = [chunks + [Chunk().closed()] * (most - len(chunks)) for chunks in cut]
        every = [chunk for chunks in filled for chunk in chunks]
        parts = (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE))
        hidden = torch.cat([self._states(part, policy.skip) for part in parts])
        hidden = hidden.reshape(len(filled), most, *hidden.shape[1:])
        if policy.emphasis not in ("None", "Ignore"):
            weights = torch.tensor([[chunk.weights for chunk in chunks] for chunks in filled])
            times = torch.tensor(list(texts.values())) if policy.emphasis == "Original" else None
            hidden = weighted(hidden, weights.to(hidden), None if times is None else times.to(hidden))
        return dict(zip(texts, hidden.flatten(1, 2), strict=True))

    def _states(self, chunks: Sequence[Chunk], skip: int) -> Tensor:
        """Hidden states (chunks, 77, width), the user's own words read as their vectors."""
        ids = torch.tensor([chunk.ids for chunk in chunks], device=self._device)
        with self._placed(chunks):
            return self._hidden(ids, skip)

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

    def _hidden(self, ids: Tensor, skip: int) -> Tensor:
        """ids (chunks, 77) -> final-normed hidden states (chunks, 77, width) of the layer that clip skip asks for."""
        if skip <= 1:
            last: Tensor = self.tower(input_ids=ids).last_hidden_state
            return last
        states: Sequence[Tensor] = self.tower(input_ids=ids, output_hidden_states=True).hidden_states
        final: Tensor = self.tower.final_layer_norm(states[max(-skip, -len(states))])  # type: ignore[operator]
        return final


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
