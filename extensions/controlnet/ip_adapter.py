"""IP-Adapter (Ye et al. 2023, https://arxiv.org/abs/2308.06721): a picture as words, in cross-attention of its own.

Eq. 5: every cross-attention gives attention(q, k, v) + weight * attention(q, k', v'), where k' and v' are made of the
picture's words. `Adapter` holds a file's weights, `installed` puts processors into a UNet and takes them out again.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.loading import attention

WIDTH = 64
"""Of a head of the resampler, in released files."""


class Adapter:
    """A file's weights. plus: its words are drawn from all places of the encoder's answer, not from its summary."""

    def __init__(self, weights: Mapping[str, Tensor], *, dtype: torch.dtype) -> None:
        self._projection = _below(weights, "image_proj.")
        self._dtype = dtype
        layers = _below(weights, "ip_adapter.")
        self._keys = {int(name.split(".")[0]): each.to(dtype) for name, each in layers.items() if "to_k_ip" in name}
        self._values = {int(name.split(".")[0]): each.to(dtype) for name, each in layers.items() if "to_v_ip" in name}
        self.plus = "latents" in self._projection
        if not (self.plus or "proj.weight" in self._projection) or self._keys.keys() != self._values.keys():
            raise KeyError("image_proj.proj.weight or image_proj.latents, and to_k_ip with to_v_ip")

    @property
    def wants(self) -> int:
        """How wide the encoder's answer must be."""
        return int(self._projection["proj_in.weight" if self.plus else "proj.weight"].shape[1])

    @property
    def text(self) -> int:
        """How wide the words are."""
        return int(next(iter(self._keys.values())).shape[1])

    def words(self, seen: Tensor) -> Tensor:
        """seen: (B, width), the encoder's summary, or for plus (B, places, width) -> (B, words, text)."""
        own, seen = self._projection, seen.float()
        if self.plus:
            return _resampled(seen, own).to(self._dtype)
        flat = functional.linear(seen, own["proj.weight"], own["proj.bias"])
        words = flat.reshape(len(seen), -1, own["norm.weight"].shape[0])
        return _norm(words, own, "norm").to(self._dtype)

    def fits(self, unet: nn.Module) -> bool:
        """Whether the UNet has cross-attentions of these sizes at these places."""
        places = crosses(unet)
        return places.keys() == self._keys.keys() and all(
            (layer.to_k.out_features, layer.to_k.in_features) == tuple(self._keys[number].shape)
            for number, layer in places.items()
        )

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """What makes keys and values of the words at a place, (out, text) each."""
        return self._keys[number], self._values[number]


def crosses(unet: nn.Module) -> dict[int, Any]:
    """The UNet's cross-attentions by their number among all attentions: the way down, up, the middle."""
    processors: Mapping[str, object] = getattr(unet, "attn_processors", {})
    names = [name.removesuffix(".processor") for name in processors]
    return {number: unet.get_submodule(name) for number, name in enumerate(names) if name.endswith("attn2")}


@dataclasses.dataclass
class Shown:
    """What the processors of a unit look at. words (B, words, text): for the rows of the running call, None: nothing;
    weight: how much it counts, 0..2.
    """

    adapter: Adapter
    weight: float = 1.0
    words: Tensor | None = None


@contextlib.contextmanager
def installed(unet: nn.Module, shown: Sequence[Shown]) -> Iterator[None]:
    """The UNet's cross-attentions look at these too; afterwards they are as before."""
    before = {number: layer.processor for number, layer in crosses(unet).items()} if shown else {}
    layers = crosses(unet) if shown else {}
    try:
        for number, layer in layers.items():
            layer.processor = Looking(before[number], number, shown)
        yield
    finally:
        for number, layer in layers.items():
            layer.processor = before[number]


class Looking:
    """An attention processor: what the one before it gives, and what comes of the pictures."""

    def __init__(self, before: Any, number: int, shown: Sequence[Shown]) -> None:
        self._before = before
        self._number = number
        self._shown = shown

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **others: Any
    ) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        result: Tensor = self._before(attn, hidden_states, encoder_hidden_states, **others)
        for each in self._shown:
            if each.words is not None and each.weight:
                result = result + each.weight * self._looked(attn, hidden_states, each.adapter, each.words)
        return result

    def _looked(self, attn: Any, states: Tensor, adapter: Adapter, words: Tensor) -> Tensor:
        keys, values = adapter.layer(self._number)
        projected = (attn.to_q(states), functional.linear(words, keys), functional.linear(words, values))
        query, key, value = (each.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for each in projected)
        seen = attention.attention(query, key.to(query), value.to(query)).transpose(1, 2).flatten(-2)
        out = attn.to_out[0]
        whole: Tensor = out(seen)
        return whole if out.bias is None else whole - out.bias.to(whole)  # `_before` has added it


def _below(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _norm(x: Tensor, own: Mapping[str, Tensor], name: str) -> Tensor:
    weight = own[f"{name}.weight"]
    return functional.layer_norm(x, weight.shape, weight, own[f"{name}.bias"])


def _resampled(seen: Tensor, own: Mapping[str, Tensor]) -> Tensor:
    """A perceiver resampler (Alayrac et al. 2022, https://arxiv.org/abs/2204.14198): (B, places, width) -> words."""
    seen = functional.linear(seen, own["proj_in.weight"], own["proj_in.bias"])
    latents = own["latents"].expand(len(seen), -1, -1)
    for layer in range(len({name.split(".")[1] for name in own if name.startswith("layers.")})):
        latents = latents + _attended(seen, latents, own, f"layers.{layer}.0")
        inner = _norm(latents, own, f"layers.{layer}.1.0")
        inner = functional.gelu(functional.linear(inner, own[f"layers.{layer}.1.1.weight"]))
        latents = latents + functional.linear(inner, own[f"layers.{layer}.1.3.weight"])
    return _norm(functional.linear(latents, own["proj_out.weight"], own["proj_out.bias"]), own, "norm_out")


def _attended(seen: Tensor, latents: Tensor, own: Mapping[str, Tensor], name: str) -> Tensor:
    """The latents look at what was seen and at themselves."""
    seen, latents = _norm(seen, own, f"{name}.norm1"), _norm(latents, own, f"{name}.norm2")
    query = functional.linear(latents, own[f"{name}.to_q.weight"])
    both = functional.linear(torch.cat([seen, latents], dim=1), own[f"{name}.to_kv.weight"])
    heads = max(1, query.shape[-1] // WIDTH)
    parts = (query, *both.chunk(2, dim=-1))
    asked, keys, values = (each.reshape(*each.shape[:2], heads, -1).transpose(1, 2) for each in parts)
    answer = functional.scaled_dot_product_attention(asked, keys, values).transpose(1, 2).flatten(-2)
    return functional.linear(answer, own[f"{name}.to_out.weight"])
