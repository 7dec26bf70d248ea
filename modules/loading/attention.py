"""Attention in the UNet: torch's scaled dot-product attention, with one help for narrow heads on the CPU.

Small models have heads of 4 or 8 channels; the CPU's kernel works in blocks of 16, so such heads are filled up with
zeros, which changes no result and takes a third of the time off. In training, the CPU's kernel for bfloat16 takes five
times as long as the one for float32 on the way back, so there bfloat16 is widened first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

BLOCK = 16
"""Channels that the CPU's kernel takes at once."""

WORTHWHILE = 256
"""Keys from which filling up pays (measured: self-attention gains, cross-attention with 77 keys does not)."""


class Attend:
    """An attention processor for the UNet's transformer blocks (no mask, no group norm, no residual of its own).

    wide: half-precision queries, keys and values are widened to float32 while they are compared.
    """

    wide = False

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: object
    ) -> Tensor:
        """hidden_states (B, N, C), encoder_hidden_states (B, M, C') or None for self-attention -> (B, N, C)."""
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for projected in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        if self.wide:
            attended = attention(query.float(), key.float(), value.float()).to(query.dtype)
        else:
            attended = attention(query, key, value)
        result: Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(-2))
        return result


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for (B, heads, N, d), (B, heads, M, d) twice -> (B, heads, N, d)."""
    if query.dtype == torch.bfloat16 and query.device.type == "cpu" and query.requires_grad:
        with torch.autocast("cpu", enabled=False):
            return attention(query.float(), key.float(), value.float())
    width = query.shape[-1]
    missing = BLOCK - width
    if missing <= 0 or query.device.type != "cpu" or key.shape[-2] < WORTHWHILE:
        return functional.scaled_dot_product_attention(query, key, value)
    query, key, value = (functional.pad(each, (0, missing)) for each in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, scale=width**-0.5)[..., :width]


def install(unet: UNet2DConditionModel) -> None:
    """Let every attention of the UNet run here."""
    unet.set_attn_processor(Attend())


def upcast(network: nn.Module, on: bool) -> None:
    """A1111's `upcast_attn` as a desired state: whether a UNet's attention is worked out in float32. Other networks
    are left as they are.
    """
    for module in network.modules():
        processor = getattr(module, "processor", None)
        if isinstance(processor, Attend):
            processor.wide = on
