"""A diffusers UNet under the names, classes and calls of the original one, so that extensions that hang on those work.

Each class here shows one module of diffusers' and has its layers as its own. Whoever calls the real module comes
through what shows it: a hook or another `forward` that an extension puts there is heard. Left alone, nothing is worked
out differently. `unet.shown` makes the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Shown(nn.Module):
    """A module that another one works for. Its call is the original's; `_work` is the real one's, untouched."""

    _real: Any
    _more: dict[str, Any]

    def __init__(self, real: nn.Module) -> None:
        super().__init__()
        self.__dict__.update(_real=real, _more={})  # not a child: names of parameters are those of the layers
        real.__dict__["forward"] = self._asked
        real.__dict__["shown"] = self

    def _work(self, *given: Any, **named: Any) -> Any:
        """What the real module makes of it, told as well what diffusers said beside it."""
        return type(self._real).forward(self._real, *given, **{**self._more, **named})

    def _asked(self, *given: Any, **named: Any) -> Any:
        """The real module is called."""
        raise NotImplementedError

    def _telling(self, more: dict[str, Any], call: Callable[[], Any]) -> Any:
        """The call, while `_work` says `more` too."""
        before, self.__dict__["_more"] = self._more, more
        try:
            return call()
        finally:
            self.__dict__["_more"] = before

    def to(self, *_: Any, **__: Any) -> Any:
        """Where weights lie, and in which numbers, is decided by residency."""
        return self

    cpu = cuda = half = float = bfloat16 = type = to


class CrossAttention(Shown):
    """x (B, N, C), context (B, M, C') or None for self-attention -> (B, N, C)."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.heads: int = real.heads
        self.dim_head: int = real.inner_dim // real.heads
        self.scale: float = self.dim_head**-0.5
        self.to_q, self.to_k, self.to_v = real.to_q, real.to_k, real.to_v
        self.to_out = nn.Sequential(*real.to_out)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None, **_: Any) -> Tensor:
        return self._work(x, encoder_hidden_states=context, **({} if mask is None else {"attention_mask": mask}))

    def _asked(
        self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *_: Any, **more: Any
    ) -> Tensor:
        return self._telling(more, lambda: self(hidden_states, context=encoder_hidden_states))


class MemoryEfficientCrossAttention(CrossAttention):
    """Never made: which way attention is worked out is Easel's choice."""


class BasicTransformerBlock(Shown):
    """x (B, N, C), context (B, M, C') -> (B, N, C)."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.attn1, self.ff = CrossAttention(real.attn1), real.ff
        self.attn2 = CrossAttention(real.attn2) if real.attn2 is not None else None
        self.norm1, self.norm2, self.norm3 = real.norm1, real.norm2, real.norm3
        self.disable_self_attn = self.checkpoint = False

    def forward(self, x: Tensor, context: Tensor | None = None, **_: Any) -> Tensor:
        return self._work(x, encoder_hidden_states=context)

    def _asked(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        **more: Any,
    ) -> Tensor:
        told = {"attention_mask": attention_mask, **more}
        return self._telling(told, lambda: self(hidden_states, context=encoder_hidden_states))


class SpatialTransformer(Shown):
    """x (B, C, H, W), context (B, M, C') -> (B, C, H, W)."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.norm, self.proj_in = real.norm, real.proj_in
        self.transformer_blocks = nn.ModuleList(BasicTransformerBlock(each) for each in real.transformer_blocks)
        self.proj_out = real.proj_out
        self.in_channels: int = real.in_channels
        self.use_linear = isinstance(real.proj_in, nn.Linear)

    def forward(self, x: Tensor, context: Tensor | None = None, **_: Any) -> Tensor:
        return self._work(x, encoder_hidden_states=context, return_dict=False)[0]

    def _asked(
        self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, return_dict: bool = True, **more: Any
    ) -> Any:
        made = self._telling(more, lambda: self(hidden_states, context=encoder_hidden_states))
        if not return_dict:
            return (made,)
        from diffusers.models.modeling_outputs import Transformer2DModelOutput

        return Transformer2DModelOutput(sample=made)


class ResBlock(Shown):
    """x (B, C, H, W), emb (B, E) -> (B, C', H, W)."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.in_layers = nn.Sequential(real.norm1, real.nonlinearity, real.conv1)
        if real.time_emb_proj is not None:
            self.emb_layers = nn.Sequential(real.nonlinearity, real.time_emb_proj)
        self.out_layers = nn.Sequential(real.norm2, real.nonlinearity, real.dropout, real.conv2)
        self.skip_connection = real.conv_shortcut if real.conv_shortcut is not None else nn.Identity()
        self.channels, self.out_channels = real.in_channels, real.out_channels
        self.updown = self.use_scale_shift_norm = False

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self._work(x, emb)

    def _asked(self, input_tensor: Tensor, temb: Tensor, *_: Any, **__: Any) -> Tensor:
        return self(input_tensor, temb)


class Downsample(Shown):
    """(B, C, H, W) -> (B, C, H/2, W/2), halves rounded up."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.op = real.conv

    def forward(self, x: Tensor) -> Tensor:
        return self._work(x)

    def _asked(self, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return self(hidden_states)


class Upsample(Shown):
    """(B, C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.conv = real.conv
        self.channels = real.channels

    def forward(self, x: Tensor, output_shape: Any = None) -> Tensor:
        return self._work(x)

    def _asked(self, hidden_states: Tensor, output_size: Any = None, *_: Any, **__: Any) -> Tensor:
        return self._telling({"output_size": output_size}, lambda: self(hidden_states))


class TimestepBlock(nn.Module):
    """Base of blocks that are told the time; here for those that ask for the name."""


class TimestepEmbedSequential(nn.Sequential):
    """One place of the UNet: each layer told what it wants. Called only when an extension hangs on such a place."""

    def forward(self, x: Tensor, emb: Tensor, context: Tensor | None = None, **_: Any) -> Tensor:  # type: ignore[override]
        for layer in self:
            real = getattr(layer, "_real", layer)  # through the real one: Easel's own hooks hang there
            if isinstance(layer, ResBlock):
                x = real(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = real(x, encoder_hidden_states=context, return_dict=False)[0]
            else:
                x = real(x)
        return x
