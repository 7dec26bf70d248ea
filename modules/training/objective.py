"""The mathematics of training a diffusion model, as plain functions of tensors.

    forward process   x_t = signal(t) * x0 + noise(t) * eps              (DDPM, Ho et al. 2020, eq. 4)
    variance-preserving (eps, v): signal^2 + noise^2 = 1; rectified flow: signal = 1 - t, noise = t

What the network is asked for ("eps", "v" or "flow") is a row of `TARGETS`: its target, how x0 and eps follow from an
answer, and how min-SNR weighting (Hang et al. 2023, https://arxiv.org/abs/2303.09556) reads for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from modules.core.errors import BadRequest
from modules.core.process import TrainedLevels, levels_of_betas, scaled_linear_levels

STEPS = 1000
"""Trained times."""


def linear_levels(*, start: float = 1e-4, end: float = 0.02, count: int = STEPS) -> TrainedLevels:
    """DDPM's own schedule: beta rises linearly (Ho et al. 2020, section 4)."""
    return levels_of_betas(torch.linspace(start, end, count, dtype=torch.float64))


SCHEDULES: dict[str, Callable[[], TrainedLevels]] = {"scaled_linear": scaled_linear_levels, "linear": linear_levels}
"""Name -> noise levels; "scaled_linear" is Stable Diffusion's."""


@dataclasses.dataclass(frozen=True)
class Noised:
    """What the network sees and what it is made of: x, clean, eps (B, C, H, W); signal, noise (B, 1, 1, 1)."""

    x: Tensor
    clean: Tensor
    eps: Tensor
    signal: Tensor
    noise: Tensor

    @property
    def snr(self) -> Tensor:
        """Signal-to-noise ratio (B, 1, 1, 1)."""
        return (self.signal / self.noise) ** 2


def diffused(clean: Tensor, eps: Tensor, kept: Tensor) -> Noised:
    """q(x_t | x0) of DDPM. clean, eps (B, C, H, W); kept (B,): alpha bar at each picture's time."""
    kept = kept.reshape(-1, 1, 1, 1)
    signal, noise = kept.sqrt(), (1 - kept).sqrt()
    return Noised(signal * clean + noise * eps, clean, eps, signal, noise)


def interpolated(clean: Tensor, eps: Tensor, time: Tensor) -> Noised:
    """Rectified flow's straight line between picture and noise. time (B,) in 0..1."""
    noise = time.reshape(-1, 1, 1, 1)
    return Noised((1 - noise) * clean + noise * eps, clean, eps, 1 - noise, noise)


@dataclasses.dataclass(frozen=True)
class Target:
    """of(noised) -> what to answer; clean(x, answer, signal, noise) -> x0; weight(snr) that makes the loss that of x0,
    divided by SNR: min-SNR multiplies it by min(SNR, gamma).
    """

    of: Callable[[Noised], Tensor]
    clean: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    weight: Callable[[Tensor], Tensor]


TARGETS: dict[str, Target] = {
    "eps": Target(
        of=lambda given: given.eps,
        clean=lambda x, answer, signal, noise: (x - noise * answer) / signal,
        weight=lambda snr: 1 / snr,
    ),
    "v": Target(  # Salimans and Ho 2022, https://arxiv.org/abs/2202.00512
        of=lambda given: given.signal * given.eps - given.noise * given.clean,
        clean=lambda x, answer, signal, noise: signal * x - noise * answer,
        weight=lambda snr: 1 / (snr + 1),
    ),
    "flow": Target(  # x0 = x - noise * answer, and noise = 1 / (1 + sqrt(SNR)) on the straight line
        of=lambda given: given.eps - given.clean,
        clean=lambda x, answer, signal, noise: x - noise * answer,
        weight=lambda snr: 1 / (1 + snr.sqrt()) ** 2,
    ),
}


def target(name: str) -> Target:
    """A row of TARGETS. Raises BadRequest."""
    if name not in TARGETS:
        raise BadRequest(f"prediction: {name} is none of {', '.join(TARGETS)}.", field="prediction")
    return TARGETS[name]


def loss(answer: Tensor, given: Noised, prediction: str, *, gamma: float | None = None, least: float = 0.0) -> Tensor:
    """Mean squared error of the answer, each picture weighted by min-SNR-gamma (None: all alike) -> (B,).

    least: SNR as which a lower one counts, so that errors of the noisiest count more than min-SNR lets them.
    """
    row = target(prediction)
    error = ((answer.float() - row.of(given).float()) ** 2).mean(dim=(1, 2, 3))
    if gamma is None:
        return error
    snr = given.snr.reshape(-1)
    return error * snr.clamp(min=least, max=gamma) * row.weight(snr)
