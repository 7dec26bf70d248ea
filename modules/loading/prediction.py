"""From what a network predicts to a denoiser: the network's clock and scaling live here, samplers never see them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from modules.core.process import TrainedLevels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """What a network is told beside the noisy latents of a batch of B.

    context (B, tokens, width): the prompts, token by token; pooled (B, V): one vector a prompt; ids (B, n): numbers
    such as sizes and scores; concat (B, C', H, W): further input channels. None: the family has none. wanted (B,) of
    bools: which rows are of prompts, not of negative ones (None: nobody knows); more: further arguments of the network
    by name, as an extension adds them.
    """

    context: Tensor
    pooled: Tensor | None = None
    ids: Tensor | None = None
    concat: Tensor | None = None
    wanted: Tensor | None = None
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.context)

    def rows(self, which: Sequence[int]) -> Given:
        """Those of the batch, in this order."""
        index = list(which)
        return self._each(lambda _, own: own[index])

    def beside(self, other: Given) -> Given:
        """One batch of both: ours, then theirs."""
        return self._each(lambda name, own: torch.cat([own, getattr(other, name)]))

    def _each(self, change: Callable[[str, Tensor], Tensor]) -> Given:
        present = {name: own for name, own in vars(self).items() if isinstance(own, Tensor)}
        changed: dict[str, Any] = {name: change(name, own) for name, own in present.items()}
        return dataclasses.replace(self, **changed)


Network: TypeAlias = Callable[[Tensor, Tensor, Given], Tensor]
"""(x (B, C, H, W), time (B,), given) -> prediction (B, C, H, W)."""

Predict: TypeAlias = Callable[[Tensor, Tensor, Given], Tensor]
"""(x (B, C, H, W), sigma (), given) -> denoised (B, C, H, W)."""


def denoised_from_eps(network: Network, levels: TrainedLevels, *, whole_times: bool = False) -> Predict:
    """For networks trained to predict the noise (DDPM, Ho et al. 2020, eq. 14), asked in sigma coordinates.

    denoised = x - sigma * eps(x / sqrt(sigma^2 + 1), t(sigma)). The sum is done in x's own precision. whole_times: ask
    only at times that the network was trained at.
    """

    def predict(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        time = levels.time_at(sigma, whole=whole_times).to(x.device).expand(x.shape[0])
        eps = network(x * (1 / (sigma**2 + 1) ** 0.5), time, given)
        return x - eps.to(x.dtype) * sigma

    return predict


def denoised_from_v(network: Network, levels: TrainedLevels, *, whole_times: bool = False) -> Predict:
    """For networks trained to predict the velocity (Salimans and Ho 2022, https://arxiv.org/abs/2202.00512, app. D).

    denoised = x / (sigma^2 + 1) - v(x / sqrt(sigma^2 + 1), t(sigma)) * sigma / sqrt(sigma^2 + 1).
    """

    def predict(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        time = levels.time_at(sigma, whole=whole_times).to(x.device).expand(x.shape[0])
        scale = 1 / (sigma**2 + 1) ** 0.5
        v = network(x * scale, time, given)
        return x * (1 / (sigma**2 + 1)) - v.to(x.dtype) * (sigma * scale)

    return predict


def denoised_from_stepwise_v(network: Network, levels: TrainedLevels, *, whole_times: bool = False) -> Predict:
    """As `denoised_from_v`, but between two trained times the noise in x is worked out with the level of the lower one:
    what A1111's UniPC does, which alone asks at such times in scaled coordinates.
    """

    def predict(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        time = levels.time_at(sigma, whole=whole_times)
        kept = levels.kept[int(time + 1e-3)].to(sigma)
        scaled = x * (1 / (sigma**2 + 1) ** 0.5)
        v = network(scaled, time.to(x.device).expand(x.shape[0]), given)
        return x - (v.to(x.dtype) * kept**0.5 + scaled * (1 - kept) ** 0.5) * sigma

    return predict


TICKS = 1000
"""A network of rectified flow is told sigma * TICKS."""


def denoised_from_flow(network: Network, levels: TrainedLevels, *, whole_times: bool = False) -> Predict:
    """For networks trained to predict noise - clean latent (Liu et al. 2022, https://arxiv.org/abs/2209.03003).

    denoised = x - sigma * v(x, sigma * TICKS): the network's time is the level itself, whatever was trained.
    """

    def predict(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        time = (sigma * TICKS).to(x.device).expand(x.shape[0])
        return x - network(x, time, given).to(x.dtype) * sigma

    return predict


class Kind(Protocol):
    """A way to make a denoiser of a network; levels: those it was trained at, as the options bend them."""

    def __call__(self, network: Network, levels: TrainedLevels, *, whole_times: bool = False) -> Predict: ...


KINDS: Mapping[str, Kind] = {
    "eps": denoised_from_eps,
    "v": denoised_from_v,
    "stepwise v": denoised_from_stepwise_v,
    "flow": denoised_from_flow,
}
"""By what the network predicts; "stepwise v" is a sampler's way to ask one that predicts velocity."""
