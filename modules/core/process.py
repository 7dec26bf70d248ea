"""The noise process: how a clean latent x0 and noise make the noisy latent x, and how far along a noise level is.

    x = alpha(sigma) * x0 + sigma * noise

Two members cover today's models: `VarianceExploding` (alpha = 1), the coordinates in which k-diffusion and A1111 sample
SD1, SD2 and SDXL, and `RectifiedFlow` (alpha = 1 - sigma) for SD3 and its successors. A sampler written with `alpha`
runs on both. Everything works on 0-dimensional tensors and never waits for the device.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor


class Split(NamedTuple):
    """An ancestral step: go down to `down`, then x = scale * x + up * noise lands on the target noise level."""

    down: Tensor
    scale: Tensor
    up: Tensor


class NoiseProcess(Protocol):
    """What a sampler may ask about noise levels (all sigma are 0-dimensional tensors).

    widens: noise adds to the latent's variance; where it does not, noise alone has variance 1 at the highest level.
    """

    @property
    def widens(self) -> bool: ...

    def alpha(self, sigma: Tensor) -> Tensor:
        """Weight of the clean latent at noise level sigma: () -> ()."""
        ...

    def level(self, log_snr: Tensor) -> Tensor:
        """The noise level at which log(alpha / sigma) has this value: () -> ()."""
        ...

    def split(self, sigma: Tensor, target: Tensor, eta: float) -> Split:
        """Part a step from sigma to target into a deterministic part and fresh noise; eta 0 (none) .. 1 (ancestral)."""
        ...


def log_snr(process: NoiseProcess, sigma: Tensor) -> Tensor:
    """Half the logarithm of the signal-to-noise ratio, log(alpha / sigma); the natural time of DPM-Solver."""
    return process.alpha(sigma).log() - sigma.log()


class VarianceExploding:
    """x = x0 + sigma * noise: diffusion in the coordinates of Karras et al. 2022 (https://arxiv.org/abs/2206.00364)."""

    widens = True

    def alpha(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)

    def level(self, log_snr: Tensor) -> Tensor:
        return (-log_snr).exp()

    def split(self, sigma: Tensor, target: Tensor, eta: float) -> Split:
        """The variance of the fresh noise is eta^2 times that of the reverse process' transition (DDIM, eq. 16)."""
        if not eta:
            return Split(target, torch.ones_like(target), torch.zeros_like(target))
        up = torch.minimum(target, eta * (target**2 * (sigma**2 - target**2) / sigma**2) ** 0.5)
        return Split((target**2 - up**2) ** 0.5, torch.ones_like(target), up)


class RectifiedFlow:
    """x = (1 - sigma) * x0 + sigma * noise, sigma 0..1: Liu et al. 2022 (https://arxiv.org/abs/2209.03003)."""

    widens = False

    def alpha(self, sigma: Tensor) -> Tensor:
        return 1 - sigma

    def level(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr)

    def split(self, sigma: Tensor, target: Tensor, eta: float) -> Split:
        """Step further down by a factor, then scale and renoise so that signal and noise both fit the target level."""
        down = target * (1 + (target / sigma - 1) * eta)
        scale = self.alpha(target) / self.alpha(down)
        up = (target**2 - (scale * down) ** 2).clamp(min=0) ** 0.5
        return Split(down, scale, up)


@dataclasses.dataclass(frozen=True)
class TrainedLevels:
    """The noise levels a discrete-time model was trained on, and its clock between them.

    sigmas (N,) rising. Times are 0 .. N - 1 and need not be whole: between two trained levels log sigma is
    interpolated.
    """

    sigmas: Tensor

    @property
    def lowest(self) -> float:
        return float(self.sigmas[0])

    @property
    def highest(self) -> float:
        return float(self.sigmas[-1])

    @property
    def solvable(self) -> float:
        """The highest level at which log(alpha / sigma) has a value."""
        return math.inf

    @property
    def first_time(self) -> float:
        """The model time of the lowest level."""
        return 0.0

    @property
    def last_time(self) -> float:
        """The model time of the highest level."""
        return float(len(self.sigmas) - 1)

    @property
    def kept(self) -> Tensor:
        """The kept share of the signal's power at each time (N,): 1 / (1 + sigma^2), DDPM's alpha bar."""
        return 1 / (1 + self.sigmas**2)

    @property
    def bends(self) -> bool:
        """Whether options may bend the levels (`downcast`, `zero_terminal`)."""
        return True

    def to(self, device: torch.device) -> TrainedLevels:
        return dataclasses.replace(self, sigmas=self.sigmas.to(device))

    def sized(self, width: int, height: int, steps: int) -> TrainedLevels:
        """The levels for a picture of so many pixels, made in so many steps."""
        return self

    def own(self, steps: int) -> Tensor:
        """The levels (steps,) of the model's own schedule, without the last 0: k-diffusion's, equal steps of model time
        from the highest level to the lowest.
        """
        return self.level_at(torch.linspace(self.last_time, self.first_time, steps))

    def time_at(self, sigma: Tensor, *, whole: bool = False) -> Tensor:
        """Noise level sigma () -> model time (), clamped to the trained range; whole: that of the nearest trained
        level.
        """
        table = self.sigmas.log().float()
        wanted = sigma.log()
        if whole:
            return (table - wanted).abs().argmin().to(sigma.dtype)
        low = (torch.searchsorted(table, wanted, right=True) - 1).clamp(0, len(table) - 2)
        weight = ((table[low] - wanted) / (table[low] - table[low + 1])).clamp(0, 1)
        return (1 - weight) * low + weight * (low + 1)

    def level_at(self, time: Tensor) -> Tensor:
        """Model time, any shape -> noise level, same shape."""
        table = self.sigmas.log().float()
        low, high, weight = time.floor().long(), time.ceil().long(), time.frac()
        return ((1 - weight) * table[low] + weight * table[high]).exp()


@dataclasses.dataclass(frozen=True)
class DistilledLevels(TrainedLevels):
    """The levels a consistency model was distilled at: each `stride`-th of its teacher's, asked at whole times only."""

    stride: int = 20

    @property
    def first_time(self) -> float:
        return float(self.stride - 1)

    @property
    def last_time(self) -> float:
        return float(len(self.sigmas) * self.stride - 1)

    def time_at(self, sigma: Tensor, *, whole: bool = False) -> Tensor:
        """The teacher's time of the nearest level; whole makes no difference."""
        return super().time_at(sigma, whole=True) * self.stride + (self.stride - 1)

    def level_at(self, time: Tensor) -> Tensor:
        """Teacher's time, any shape -> noise level, same shape; clamped to the distilled range."""
        return super().level_at(((time - (self.stride - 1)) / self.stride).clamp(0, len(self.sigmas) - 1))


Stretch: TypeAlias = Callable[[int, int, int], float]
"""(width, height, steps) -> shift; sides in pixels."""


@dataclasses.dataclass(frozen=True)
class FlowLevels(TrainedLevels):
    """The levels of rectified flow, sigma = shift * u / (1 + (shift - 1) * u) for u = 1/N .. 1 (Esser et al. 2024, eq.
    23). Its clock, as with all levels, counts entries; what networks are told is sigma itself.

    shift: above 1 more of the steps are at strong noise; stretch: what it is for a picture of (width, height) pixels
    made in so many steps. whole: the model's own schedule reaches 0 in equal steps of u; if not, it is k-diffusion's.
    terminal: if not 0, that schedule is stretched so that its last step starts there.
    """

    shift: float = 1.0
    stretch: Stretch | None = None
    whole: bool = True
    terminal: float = 0.0

    @property
    def bends(self) -> bool:
        return False

    @property
    def solvable(self) -> float:
        """Level 1 is noise alone."""
        return float(self.sigmas[-2])

    def sized(self, width: int, height: int, steps: int) -> FlowLevels:
        if self.stretch is None:
            return self
        shift = self.stretch(width, height, steps)
        return flow_levels(shift, stretch=self.stretch, whole=self.whole, terminal=self.terminal)

    def own(self, steps: int) -> Tensor:
        if not self.whole:
            return super().own(steps)
        sigmas = self.level_at(torch.linspace(self.last_time, -1.0, steps + 1)[:-1])
        if not self.terminal or steps == 1:
            return sigmas
        return 1 - (1 - sigmas) * ((1 - self.terminal) / (1 - sigmas[-1]))


def flow_levels(
    shift: float = 1.0,
    *,
    stretch: Stretch | None = None,
    whole: bool = True,
    terminal: float = 0.0,
    count: int = 1000,
) -> FlowLevels:
    """The levels of a rectified flow with this shift; see `FlowLevels`."""
    share = torch.arange(1, count + 1, dtype=torch.float64) / count
    sigmas = shift * share / (1 + (shift - 1) * share)
    return FlowLevels(sigmas.float(), shift=shift, stretch=stretch, whole=whole, terminal=terminal)


def distilled(teacher: TrainedLevels, *, stride: int = 20) -> DistilledLevels:
    """Latent consistency models (Luo et al. 2023, https://arxiv.org/abs/2310.04378) know 50 of 1000 times: 19, 39 …
    999.
    """
    return DistilledLevels(teacher.sigmas[stride - 1 :: stride], stride)


def zero_terminal(levels: TrainedLevels) -> TrainedLevels:
    """Stretch the levels so that the last one is (nearly) pure noise (Lin et al. 2023, https://arxiv.org/abs/2305.08891,
    algorithm 1). The last alpha is 4.9e-8 instead of 0, A1111's choice, so that sigma stays finite: about 4519.
    """
    root = levels.kept.sqrt()
    first, last = root[0], root[-1]
    kept = ((root - last) * (first / (first - last))) ** 2
    kept[-1] = 4.8973451890853435e-08
    return levels_of_kept(kept)


def downcast(levels: TrainedLevels) -> TrainedLevels:
    """The levels as A1111 before 1.6 had them with half precision: the running product rounded to float16."""
    return levels_of_kept(levels.kept.half())


def scaled_linear_levels(*, start: float = 0.00085, end: float = 0.012, count: int = 1000) -> TrainedLevels:
    """Stable Diffusion's schedule: sqrt(beta) rises linearly from sqrt(start) to sqrt(end) (latent diffusion, app.
    E).
    """
    betas = torch.linspace(start**0.5, end**0.5, count, dtype=torch.float64) ** 2
    return levels_of_betas(betas)


def levels_of_betas(betas: Tensor) -> TrainedLevels:
    """DDPM betas (N,) -> trained levels: sigma = sqrt((1 - a) / a) with a the running product of 1 - beta."""
    return levels_of_kept(torch.cumprod(1 - betas.double(), dim=0).float())


def levels_of_kept(kept: Tensor) -> TrainedLevels:
    """The kept share of the signal's power at each time (N,), falling (DDPM's alpha bar) -> trained levels."""
    return TrainedLevels(((1 - kept) / kept) ** 0.5)
