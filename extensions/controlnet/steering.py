"""How one unit steers one pass of sampling: `Steer.called` is told of every call of the network while the unit is on.

ControlNet (Zhang et al. 2023, https://arxiv.org/abs/2302.05543) and T2I-Adapter (Mou et al. 2023,
https://arxiv.org/abs/2302.08453) add to the UNet from outside; IP-Adapter and reference change its attention, and put
it back. Weights of the control modes are the well-known extension's: where the prompt or the control is more important,
deep connections count more than early ones; where the control is, negative prompts do without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modules.core.device import Placement
from modules.generate.moments import NetworkCalled
from modules.loading.loader import Model

from . import ip_adapter, reference
from .ip_adapter import Adapter, Shown
from .layouts import Net
from .maps import Pixels
from .reference import Memory
from .units import BALANCED, CONTROL, Unit

SOFT = tuple(0.825 ** (12 - place) for place in range(13))
"""Of a ControlNet's answers, from the top down, the middle last."""
SOFT_BLOCKS = (0.25, 0.62, 0.825, 1.0)
"""Of a T2I-Adapter's."""


class Steer(Protocol):
    """begin: what has to be put into the model, taken out when `ends` closes; called: add to a call of the network, or
    (not active) leave it alone. sigma () is the noise level.
    """

    def begin(self, ends: contextlib.ExitStack) -> None: ...
    def called(self, event: NetworkCalled, sigma: Tensor, *, active: bool) -> None: ...


def tensor(pixels: Pixels, placement: Placement) -> Tensor:
    """(H, W, C) -> (1, C, H, W) in 0..1."""
    levels = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).unsqueeze(0)
    return (levels.float() / 255).to(placement.device)


def hint_of(pixels: Pixels, placement: Placement) -> Tensor:
    """What a ControlNet is shown: (1, 3, H, W) in 0..1; -1 where something is inpainted."""
    shown = tensor(pixels, placement)
    if shown.shape[1] == 4:
        mask = (shown[:, 3:] > 0.5).float()
        shown = shown[:, :3] * (1 - mask) - mask
    return shown.to(placement.dtype)


def wanted_rows(event: NetworkCalled) -> Tensor:
    """(B, 1, 1, 1): 1 for rows of prompts, 0 for those of negative ones."""
    wanted = event.given.wanted
    rows = torch.ones(len(event.x)) if wanted is None else wanted.float()
    return rows.to(event.x.device, event.model.placement.dtype).reshape(-1, 1, 1, 1)


@dataclasses.dataclass(kw_only=True)
class Weights:
    """How a unit's answers are weighed. soft: deep ones count more; region (1, 1, H, W): where the unit counts."""

    unit: Unit
    soft: bool
    region: Tensor | None = None

    @classmethod
    def of(cls, unit: Unit, placement: Placement, region: Pixels | None, *, soft: bool) -> Weights:
        where = None if region is None else tensor(region, placement)[:, :1].to(placement.dtype)
        return cls(unit=unit, soft=soft or unit.control_mode != BALANCED, region=where)

    def scales(self, count: int, soft: Sequence[float]) -> list[float]:
        """For so many answers."""
        own = self.unit.advanced_weighting
        if own is not None:
            return [*own, *[0.0] * count][:count]
        usual = [*soft, *[1.0] * count][:count] if self.soft else [1.0] * count
        return [self.unit.weight * each for each in usual]

    def weighed(self, answers: Sequence[Tensor], soft: Sequence[float], rows: Tensor | None) -> list[Tensor]:
        """answers (B, C, H, W) each; rows (B, 1, 1, 1): which count, None: all."""
        scales = self.scales(len(answers), soft)
        return [self._placed(each * scale, rows) for each, scale in zip(answers, scales, strict=True)]

    def _placed(self, answer: Tensor, rows: Tensor | None) -> Tensor:
        if self.region is not None:
            answer = answer * functional.interpolate(self.region, size=answer.shape[-2:], mode="bilinear")
        return answer if rows is None else answer * rows


class Residuals:
    """A ControlNet. hint: (1, 3, H, W)."""

    def __init__(self, net: Net, hint: Tensor, weights: Weights) -> None:
        self._net = net
        self._hint = hint
        self._weights = weights

    def begin(self, ends: contextlib.ExitStack) -> None:
        pass

    def called(self, event: NetworkCalled, sigma: Tensor, *, active: bool) -> None:
        if not active:
            return
        answers = self.answers(event)
        marked = self._weights.unit.control_mode == CONTROL or self._net.pools
        weighed = self._weights.weighed(answers, SOFT, wanted_rows(event) if marked else None)
        if self._net.pools:
            weighed = [each.mean(dim=(2, 3), keepdim=True) for each in weighed]
        event.add(down=weighed[:-1], middle=weighed[-1])

    def answers(self, event: NetworkCalled) -> list[Tensor]:
        """What the network says of a call, unweighed: of every connection, then of the middle."""
        dtype, given = event.model.placement.dtype, event.given
        more: dict[str, Any] = {}
        if given.pooled is not None and given.ids is not None:
            more = {"text_embeds": given.pooled.to(event.x.device, dtype), "time_ids": given.ids.to(event.x.device)}
        down, middle = self._net.network(
            event.x[:, : self._net.network.config.in_channels].to(dtype),
            event.time,
            encoder_hidden_states=given.context.to(event.x.device, dtype),
            controlnet_cond=self._hint.expand(len(event.x), -1, -1, -1),
            added_cond_kwargs=more or None,
            return_dict=False,
        )
        return [*down, middle]


class Features:
    """A T2I-Adapter: its answers do not depend on the call, so they are made once. hint: (1, 3, H, W)."""

    def __init__(self, net: Net, hint: Tensor, weights: Weights) -> None:
        adapter = net.network
        step = adapter.downscale_factor
        missing = [-side % step for side in reversed(hint.shape[-2:])]
        hint = functional.pad(hint, (0, missing[0], 0, missing[1]), mode="replicate")
        self._answers = adapter(hint[:, : adapter.config.in_channels])
        self._weights = weights

    def begin(self, ends: contextlib.ExitStack) -> None:
        pass

    def called(self, event: NetworkCalled, sigma: Tensor, *, active: bool) -> None:
        if active:
            rows = wanted_rows(event) if self._weights.unit.control_mode == CONTROL else None
            weighed = self._weights.weighed(self._answers, SOFT_BLOCKS, rows)
            event.add(blocks=[each.expand(len(event.x), -1, -1, -1) for each in weighed])


class Words:
    """An IP-Adapter. shown, nothing: what its words are with the picture and without, (1, words, width)."""

    def __init__(self, model: Model, adapter: Adapter, seen: Tensor, unseen: Tensor, unit: Unit) -> None:
        self._unet = model.unet
        self._shown, self._nothing = adapter.words(seen), adapter.words(unseen)
        self._look = Shown(adapter, unit.weight)

    def begin(self, ends: contextlib.ExitStack) -> None:
        ends.enter_context(ip_adapter.installed(self._unet, [self._look]))

    def called(self, event: NetworkCalled, sigma: Tensor, *, active: bool) -> None:
        if not active:
            self._look.words = None
            return
        rows = wanted_rows(event)[:, :, :, 0]
        self._look.words = self._shown * rows + self._nothing * (1 - rows)


class Reference:
    """latents (1, C, H, W): of the picture that is looked at; seed: of the noise over it."""

    def __init__(self, model: Model, latents: Tensor, unit: Unit, *, second: bool, seed: int) -> None:
        fidelity = min(max(unit.threshold_a, 0.0), 1.0)
        fidelity = fidelity**3 if model.family.ids is not None else fidelity  # what SDXL bears, as the well-known one
        if unit.control_mode == CONTROL:
            fidelity = 1.0
        elif unit.control_mode != BALANCED or second:
            fidelity = 0.0
        self._unet = model.unet
        self._latents = latents
        self._noise = torch.Generator().manual_seed(seed & 0xFFFFFFFF)
        self._memory = Memory(
            attends="adain" not in unit.module or "attn" in unit.module,
            normalises="adain" in unit.module,
            weight=unit.weight,
            fidelity=fidelity,
        )

    def begin(self, ends: contextlib.ExitStack) -> None:
        ends.enter_context(reference.installed(self._unet, self._memory))

    def called(self, event: NetworkCalled, sigma: Tensor, *, active: bool) -> None:
        memory = self._memory
        memory.active, memory.wanted = False, event.given.wanted
        if not active:
            return
        noise = torch.randn(self._latents.shape, generator=self._noise).to(self._latents)
        shown = (self._latents + sigma.to(noise) * noise) / (sigma.to(noise) ** 2 + 1) ** 0.5
        given = event.given
        if given.concat is not None and given.concat.shape[1] == self._latents.shape[1] + 1:
            inside = torch.cat([torch.zeros_like(self._latents[:, :1]), self._latents], dim=1)
            given = dataclasses.replace(given, concat=inside.expand(len(event.x), -1, -1, -1))
        memory.writing = True
        try:
            event.model.network(shown.expand(len(event.x), -1, -1, -1), event.time, given)
        finally:
            memory.writing = False
        memory.active = True
