"""Language models that read prompts for newer transformers: Gemma 2, Qwen 2.5, Qwen 3, Mistral; sizes from shapes.

Only the text model of a file is taken: a vision tower and the output layer are left where they are. Qwen2.5-VL reads
plain text as Qwen2 does (its three kinds of places coincide).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modules.loading.configs.unet import Shapes
from modules.loading.mmdit.tokenizer import GEMMA, MISTRAL, QWEN, Kind
from modules.prompts import emphasis
from modules.prompts.chunks import TextPolicy, parts_of

PARTS = ("embed_tokens.", "layers.", "norm.")
"""How the names of a text model begin."""
QUERY = "layers.0.self_attn.q_proj.weight"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """A kind of language model. model, config: transformers' classes; marks, absent: tensors that it has and lacks;
    head: channels of an attention head where no norm's shape tells; theta: base of its rotary places; file: as it is
    given out; extra: further facts for the configuration.
    """

    title: str
    model: str
    config: str
    marks: tuple[str, ...]
    absent: tuple[str, ...] = ()
    head: int = 128
    theta: float = 1_000_000.0
    tokenizer: Kind
    file: str
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_QUERY_NORM, _QUERY_BIAS = "layers.0.self_attn.q_norm.weight", "layers.0.self_attn.q_proj.bias"
_SECOND_NORM = "layers.0.pre_feedforward_layernorm.weight"
GEMMA2 = Reader(
    title="Gemma 2",
    model="Gemma2Model",
    config="Gemma2Config",
    marks=(_SECOND_NORM,),
    absent=(_QUERY_NORM,),
    head=256,
    theta=10_000.0,
    tokenizer=GEMMA,
    file="gemma_2_2b_fp16.safetensors",
    extra={"query_pre_attn_scalar": 256, "hidden_activation": "gelu_pytorch_tanh"},
)
QWEN3 = Reader(
    title="Qwen 3",
    model="Qwen3Model",
    config="Qwen3Config",
    marks=(_QUERY_NORM,),
    absent=(_SECOND_NORM,),
    tokenizer=QWEN,
    file="qwen_3_4b.safetensors",
)
QWEN25 = Reader(
    title="Qwen 2.5 VL",
    model="Qwen2Model",
    config="Qwen2Config",
    marks=(_QUERY_BIAS,),
    tokenizer=QWEN,
    file="qwen_2.5_vl_7b.safetensors",
)
MISTRAL3 = Reader(
    title="Mistral Small 3",
    model="MistralModel",
    config="MistralConfig",
    marks=(QUERY,),
    absent=(_QUERY_NORM, _QUERY_BIAS, _SECOND_NORM),
    theta=1_000_000_000.0,
    tokenizer=MISTRAL,
    file="mistral_3_small_flux2_bf16.safetensors",
    extra={"sliding_window": None},
)


class Decoder(nn.Module):
    """A language model and its tokenizer."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        self._tokenizer = tokenizer

    @property
    def width(self) -> int:
        return int(self.model.config.hidden_size)  # type: ignore[union-attr, arg-type]

    def ids(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids; special: with the mark that the tokenizer puts in front."""
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        return found

    @property
    def depth(self) -> int:
        return int(self.model.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]

    def id_of(self, token: str) -> int:
        """0 where the tokenizer does not know it."""
        return int(self._tokenizer.token_to_id(token) or 0)

    def forward(self, ids: Sequence[int], layers: Sequence[int], mask: Sequence[int] | None = None) -> Tensor:
        """States of one text at these layers, side by side: (tokens, width * layers). 0 is the embedding, -1 the last
        layer after the final norm. mask: 1 for tokens that others see.
        """
        device = next(self.model.parameters()).device
        wanted = torch.tensor([list(ids)], device=device)
        seen = None if mask is None else torch.tensor([list(mask)], device=device)
        answer = self.model(input_ids=wanted, attention_mask=seen, output_hidden_states=True, use_cache=False)
        return torch.cat([answer.hidden_states[layer][0] for layer in layers], dim=-1)


def plain(text: str, policy: TextPolicy) -> str:
    """The prompt without A1111's brackets: these models read sentences, so weights are let go."""
    parts = parts_of(text, policy.emphasis)
    return "".join(part for part, weight in parts if not (part == emphasis.BREAK and weight == -1))


def build(
    reader: Reader,
    weights: Mapping[str, Tensor],
    tokenizer: Any,
    *,
    device: torch.device,
    dtype: torch.dtype,
    normed: bool = True,
) -> Decoder:
    """normed: the last layer's states get the final norm, which some files then lack. Raises KeyError, RuntimeError."""
    library = importlib.import_module("transformers")
    named = {name: tensor for name, tensor in weights.items() if name.startswith(PARTS)}
    facts = getattr(library, reader.config)(**config(reader, {name: tuple(own.shape) for name, own in named.items()}))
    with torch.device("meta"):
        model = getattr(library, reader.model)(facts)
    if not normed:
        named.pop("norm.weight", None)
        model.norm = nn.Identity()
    model.rotary_emb = type(model.rotary_emb)(facts)  # what is not stored in files must not stay on the meta device
    if hasattr(model.embed_tokens, "embed_scale"):
        model.embed_tokens.embed_scale = torch.tensor(float(facts.hidden_size) ** 0.5)
    ready = {name: tensor.to(device=device, dtype=dtype) for name, tensor in named.items()}
    model.load_state_dict(ready, strict=True, assign=True)
    return Decoder(model.to(device).eval().requires_grad_(False), tokenizer)


def config(reader: Reader, shapes: Shapes) -> dict[str, Any]:
    """Keyword arguments for the configuration class. Raises KeyError."""
    vocabulary, width = shapes["embed_tokens.weight"]
    norm = shapes.get(_QUERY_NORM)
    head = norm[0] if norm else reader.head
    layers = {name.split(".")[1] for name in shapes if name.startswith("layers.")}
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "num_hidden_layers": len(layers),
        "num_attention_heads": shapes[QUERY][0] // head,
        "num_key_value_heads": shapes["layers.0.self_attn.k_proj.weight"][0] // head,
        "head_dim": head,
        "rms_norm_eps": 1e-6 if reader is not MISTRAL3 else 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": reader.theta},
        "max_position_embeddings": 32768,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        **reader.extra,
    }
