"""The encoder of T5 (Raffel et al. 2020, https://arxiv.org/abs/1910.10683), version 1.1: sizes from shapes, tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from modules.loading.configs.unet import Shapes
from modules.prompts import emphasis
from modules.prompts.chunks import TextPolicy, parts_of

MARK = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
END, PAD = 1, 0


class Tokens(NamedTuple):
    """Token ids of a text with their weights; own: how many come before the filling."""

    ids: list[int]
    weights: list[float]
    own: int

    def sized(self, count: int, *, cut: bool) -> Tokens:
        """Filled up to so many tokens; cut: longer ones lose what is too much (the end mark with it, as in A1111)."""
        missing = max(0, count - len(self.ids))
        ids, weights = [*self.ids, *[PAD] * missing], [*self.weights, *[1.0] * missing]
        return Tokens(ids[:count], weights[:count], min(self.own, count)) if cut else Tokens(ids, weights, self.own)


class T5Encoder(nn.Module):
    """The encoder and its tokenizer."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        self._tokenizer = tokenizer

    def tokens(self, text: str, policy: TextPolicy) -> Tokens:
        """Each part of a prompt by itself, as A1111 reads it; BREAK means nothing here."""
        ids: list[int] = []
        weights: list[float] = []
        for part, weight in parts_of(text, policy.emphasis):
            if part == emphasis.BREAK and weight == -1:
                continue
            found = self._tokenizer.encode(part, add_special_tokens=False).ids
            ids += found
            weights += [weight] * len(found)
        return Tokens([*ids, END], [*weights, 1.0], len(ids) + 1)

    def forward(self, ids: Sequence[Sequence[int]], mask: Tensor | None = None) -> Tensor:
        """ids (texts, tokens), mask (texts, tokens) 1 = seen -> (texts, tokens, width)."""
        device = next(self.model.parameters()).device
        wanted = torch.tensor(ids, device=device)
        answer: Tensor = self.model(input_ids=wanted, attention_mask=mask)[0]
        return answer


class Later(nn.Module):
    """A network that is loaded when it is first asked for: most jobs with Stable Diffusion 3 leave T5 out."""

    def __init__(self, make: Callable[[], T5Encoder]) -> None:
        super().__init__()
        self._make = make
        self.made: T5Encoder | None = None

    def get(self) -> T5Encoder:
        if self.made is None:
            self.made = self._make()
        return self.made


def build(weights: Mapping[str, Tensor], tokenizer: Any, *, device: torch.device, dtype: torch.dtype) -> T5Encoder:
    """Raises KeyError, RuntimeError. The last layer of each block overflows half precision and stays in float32."""
    from transformers import T5Config, T5EncoderModel

    named = {name: tensor for name, tensor in weights.items() if name.startswith(("encoder.", "shared."))}
    table = named.get("shared.weight", named.get("encoder.embed_tokens.weight"))
    if table is None:
        raise KeyError("shared.weight")
    named |= {"shared.weight": table, "encoder.embed_tokens.weight": table}
    with torch.device("meta"):
        model = T5EncoderModel(T5Config(**config({name: tuple(tensor.shape) for name, tensor in named.items()})))

    def wide(name: str) -> bool:
        return dtype == torch.float16 and ".wo." in name

    ready = {
        name: tensor.to(device=device, dtype=torch.float32 if wide(name) else dtype) for name, tensor in named.items()
    }
    ready["encoder.embed_tokens.weight"] = ready["shared.weight"]
    model.load_state_dict(ready, strict=True, assign=True)
    return T5Encoder(model.eval().requires_grad_(False), tokenizer)


def config(shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for T5Config. Raises KeyError."""
    first = "encoder.block.0.layer."
    vocabulary, width = shapes["shared.weight"]
    buckets, heads = shapes[MARK]
    layers = {name.split(".")[2] for name in shapes if name.startswith("encoder.block.")}
    return {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": shapes[first + "0.SelfAttention.q.weight"][0] // heads,
        "d_ff": shapes[first + "1.DenseReluDense.wi_0.weight"][0],
        "num_layers": len(layers),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
        "is_encoder_decoder": False,
        "use_cache": False,
    }
