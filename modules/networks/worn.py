"""Networks worn, not merged: a layer's weights become base + change for the time in which it computes, no longer.

For weights in 8 bits, which would lose most of a small change by rounding, for packed ones, which would have to be
unpacked for good, and for whoever asks for it (`lora_functional`). `merge` puts them on; the weights themselves are
never written to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from modules.loading.packed import Packed, dense

if TYPE_CHECKING:
    from modules.networks.deltas import Delta

NARROW = frozenset((torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz))
"""Number formats that are too coarse to merge into."""

Change = Callable[[Tensor], Tensor]
"""A base in float32 -> base + all that is worn, in float32."""


def is_narrow(tensor: Tensor | None) -> bool:
    """Whether a weight is kept in 8 bits, or packed."""
    return tensor is not None and (tensor.dtype in NARROW or isinstance(tensor, Packed))


def total(base: Tensor, terms: Sequence[tuple[float, Delta]]) -> Tensor:
    """base + strength * delta of every term, in their order and each in its own precision -> float32."""
    result: Tensor = dense(base.to(torch.float32))
    for strength, delta in terms:
        result = result.to(delta.precision)
        change = delta.to(base.device, delta.precision).delta(result)
        result = (result + strength * change).to(torch.float32)
    return result


def put_on(
    module: nn.Module, terms: Mapping[str, Sequence[tuple[float, Delta]]], dtype: torch.dtype
) -> Callable[[], None]:
    """Have a layer wear terms on "weight" and "bias" whenever it computes, in `dtype` -> what takes them off."""
    worn = _Worn(terms, dtype)
    # What casts or moves weights is wrapped around `forward`: torch calls these before it and after it.
    before = module.register_forward_pre_hook(worn.before)
    after = module.register_forward_hook(worn.after, always_call=True)

    def off() -> None:
        before.remove()
        after.remove()

    return off


@dataclasses.dataclass
class _Worn:
    """The hooks of one layer, and its own weights while others stand in their place."""

    terms: Mapping[str, Sequence[tuple[float, Delta]]]
    dtype: torch.dtype
    kept: dict[str, nn.Parameter | None] = dataclasses.field(default_factory=dict)

    def before(self, module: nn.Module, inputs: Any) -> None:
        weight: Tensor = module.weight  # type: ignore[assignment]
        # where the layer will compute: weights that follow it there (lowvram) are not there yet
        place = next((each.device for each in inputs if isinstance(each, Tensor)), weight.device)
        with torch.no_grad():
            for attribute, terms in self.terms.items():
                own = module._parameters[attribute]
                base = torch.zeros(len(weight), device=place) if own is None else own.to(place)
                value = total(base, terms).to(self.dtype)
                self.kept[attribute] = own
                module._parameters[attribute] = nn.Parameter(value, requires_grad=False)

    def after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        module._parameters.update(self.kept)
        self.kept.clear()
