"""Weights as a desired state: base + sum of strength * delta, and back to the base without a changed bit.

One `Merge` a loaded model. Weights of changed layers are kept: on the CPU as they are (a changed layer gets another
tensor, so that keeping costs no copy), of an accelerator as a copy in RAM. Weights in 8 bits, and packed ones, are not
written to: what they should become is worn while they compute (`worn`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from modules.networks import worn
from modules.networks.deltas import Delta
from modules.networks.names import Layer


@dataclasses.dataclass(frozen=True)
class Target:
    """One tensor of a layer: "weight" or "bias"."""

    layer: Layer
    attribute: str

    @property
    def tensor(self) -> Tensor | None:
        found: Tensor | None = getattr(self.layer.module, self.attribute)
        return found


Term: TypeAlias = "tuple[float, Delta]"
"""Strength and change."""


class Merge:
    """Keeps the base of what it changed. dtype: in which layers compute that wear their changes."""

    def __init__(self, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self._device = device
        self._dtype = dtype
        self._base: dict[Target, Tensor | None] = {}
        self._worn: dict[Target, Callable[[], None]] = {}

    @property
    def changed(self) -> frozenset[Target]:
        """What is not at its base now."""
        return frozenset(self._base) | self._worn.keys()

    def set(self, wanted: Mapping[Target, Sequence[Term]], *, at_run_time: bool = False) -> None:
        """Make every target base + its terms, applied in their order, and everything else its base; at_run_time:
        nothing is merged, all is worn.

        Where this fails (no memory, a matrix without inverse) all is back at its base when the error arrives.
        """
        with torch.inference_mode(mode=False), torch.no_grad():
            self._undress()
            merged = {
                target: terms
                for target, terms in wanted.items()
                if not at_run_time and not worn.is_narrow(target.tensor) and not worn.is_narrow(target.layer.weight)
            }
            for target in [each for each in self._base if each not in merged]:
                self._restore(target)
            try:
                for target, terms in merged.items():
                    self._change(target, terms)
                self._dress({target: terms for target, terms in wanted.items() if target not in merged})
            except BaseException:
                self._undress()
                for target in list(self._base):
                    self._restore(target)
                raise

    def _dress(self, wanted: Mapping[Target, Sequence[Term]]) -> None:
        for target, terms in wanted.items():
            weight, base = target.layer.weight, target.tensor
            start = torch.zeros(len(weight), device=weight.device) if base is None else base
            worn.total(start, terms)  # what cannot be worked out fails here, not in the midst of sampling
            moved = [(strength, delta.to(weight.device, delta.precision)) for strength, delta in terms]
            dtype = self._dtype if weight.dtype in worn.NARROW else weight.dtype
            self._worn[target] = worn.put_on(target.layer.module, {target.attribute: moved}, dtype)

    def _undress(self) -> None:
        while self._worn:
            self._worn.popitem()[1]()

    def _change(self, target: Target, terms: Sequence[Term]) -> None:
        if target not in self._base:
            self._base[target] = _kept(target.tensor)
        example = target.layer.weight
        _put(target, worn.total(self._start(target), terms).to(device=example.device, dtype=example.dtype))

    def _start(self, target: Target) -> Tensor:
        """The base in float32; a layer without a bias gets one that begins at zero."""
        base = self._base[target]
        if base is None:
            return torch.zeros(target.layer.weight.shape[0], device=self._device)
        return base.to(self._device, torch.float32)

    def _restore(self, target: Target) -> None:
        base, current = self._base[target], target.tensor
        if base is None:
            target.layer.module.register_parameter(target.attribute, None)
        else:
            _put(target, base.to(base.device if current is None else current.device))
        del self._base[target]


def _kept(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().to("cpu")


def _put(target: Target, value: Tensor) -> None:
    parameter = target.tensor
    if parameter is None:
        target.layer.module.register_parameter(target.attribute, nn.Parameter(value, requires_grad=False))
    else:
        parameter.data = value
