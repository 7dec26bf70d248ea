"""reference_only and reference_adain: the UNet looks at a noised picture beside the one that it makes.

Before each call the network is asked about the reference, noised as much as the picture; its self-attentions remember
what they saw ("write") and then look at that too ("read"). AdaIN (Huang and Belongie 2017, arXiv 1703.06868) instead
gives the blocks' outputs the mean and spread of the reference's. Which layers take part grows with the weight, the
widest first, as in the well-known extension.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


@dataclasses.dataclass
class Memory:
    """Of one unit. attends, normalises: which of the two it does; weight 0..2; fidelity 0..1: how much the rows of
    negative prompts do without it. writing: the network is being shown the reference; wanted (B,) of bools: which rows
    of the running call are of prompts; active: it takes part in this call.
    """

    attends: bool
    normalises: bool
    weight: float
    fidelity: float
    writing: bool = False
    active: bool = False
    wanted: Tensor | None = None
    states: dict[int, Tensor] = dataclasses.field(default_factory=dict)
    spreads: dict[int, tuple[Tensor, Tensor]] = dataclasses.field(default_factory=dict)


def attentions(unet: nn.Module) -> list[Any]:
    """The self-attentions, the widest first."""
    found = [module for name, module in unet.named_modules() if name.endswith(".attn1") and hasattr(module, "to_q")]
    return sorted(found, key=lambda layer: -layer.to_q.in_features)


def blocks(unet: Any) -> list[tuple[nn.Module, float]]:
    """The parts whose output AdaIN changes, with the weight from which each takes part: half of the way down, the
    middle, all but the last ones up.
    """
    downs = [part for block in unet.down_blocks for part in block.resnets]
    lower = downs[len(downs) // 3 :]
    ups = [part for block in unet.up_blocks for part in block.resnets]
    ups = ups[: len(ups) * 2 // 3]
    found = [(unet.mid_block.resnets[-1], 0.0)] if getattr(unet, "mid_block", None) is not None else []
    found += [(part, 2 * (1 - number / len(lower))) for number, part in enumerate(lower)]
    return found + [(part, 2 * number / len(ups)) for number, part in enumerate(ups)]


@contextlib.contextmanager
def installed(unet: nn.Module, memory: Memory) -> Iterator[None]:
    """The UNet writes into the memory and reads from it; afterwards it is as before."""
    layers = attentions(unet) if memory.attends else []
    before = [layer.processor for layer in layers]
    hooks = []
    try:
        for number, layer in enumerate(layers):
            if memory.weight > number / len(layers):
                layer.processor = Remembering(before[number], number, memory)
        for number, (block, least) in enumerate(blocks(unet) if memory.normalises else []):
            if memory.weight > least:
                hooks.append(block.register_forward_hook(_renorming(number, memory)))
        yield
    finally:
        for layer, processor in zip(layers, before, strict=True):
            layer.processor = processor
        for hook in hooks:
            hook.remove()


class Remembering:
    """An attention processor that writes what it is given, or lets the one before it look at that too."""

    def __init__(self, before: Any, number: int, memory: Memory) -> None:
        self._before = before
        self._number = number
        self._memory = memory

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **others: Any
    ) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        memory = self._memory
        if memory.writing:
            memory.states[self._number] = hidden_states.detach()
        seen = memory.states.get(self._number)

        def plain() -> Tensor:
            answer: Tensor = self._before(attn, hidden_states, encoder_hidden_states, **others)
            return answer

        if memory.writing or not memory.active or seen is None:
            return plain()
        both = torch.cat([hidden_states, seen.to(hidden_states)], dim=1)
        shown: Tensor = self._before(attn, hidden_states, both, **others)
        return _apart(shown, plain, memory)


def _renorming(number: int, memory: Memory) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
    def hook(block: nn.Module, given: Any, x: Tensor) -> Tensor | None:
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True, correction=0)
        if memory.writing:
            memory.spreads[number] = (variance, mean)
            return None
        if not memory.active or number not in memory.spreads:
            return None
        aim, middle = memory.spreads[number]
        changed = (x - mean) / variance.clamp(min=1e-6) ** 0.5 * aim.clamp(min=1e-6) ** 0.5 + middle
        return _apart(changed, lambda: x, memory)

    return hook


def _apart(shown: Tensor, plain: Callable[[], Tensor], memory: Memory) -> Tensor:
    """Rows of negative prompts do without the reference as far as the fidelity says."""
    wanted = memory.wanted
    if wanted is None or memory.fidelity <= 1e-5 or bool(wanted.all()):
        return shown
    without = ~wanted.to(shown.device)
    mixed = shown.clone()
    mixed[without] = memory.fidelity * plain()[without] + (1 - memory.fidelity) * shown[without]
    return mixed
