"""DPM-Solver (Lu et al. 2022, https://arxiv.org/abs/2206.00927), noise prediction: "fast" and adaptive."""

from __future__ import annotations

import dataclasses
import itertools
import math

import torch
from torch import Tensor

from modules.core.process import NoiseProcess, TrainedLevels, log_snr
from modules.core.types import Denoiser, Noise, OnStep
from modules.samplers.catalog import Tail

ABSOLUTE, RELATIVE = 0.0078, 0.05
"""What the adaptive solver takes for no error: 2/256, and a share of the latent's size."""
FIRST_STEP = 0.05
SAFETY = 0.81
CLOSE = 1e-5


def fast_levels(steps: int, levels: TrainedLevels, **_: object) -> Tensor:
    """Equal steps of log sigma over the whole trained range, one for every three model calls and one more."""
    number = steps // 3 + 2
    return torch.linspace(math.log(levels.highest), math.log(levels.lowest), number).exp()


def whole_range(steps: int, levels: TrainedLevels, **_: object) -> Tensor:
    """The highest and the lowest trained level; between them the adaptive solver finds its own way."""
    return torch.stack([levels.sigmas[-1], levels.sigmas[0]]).float()


def fast_tail(scheduled: Tensor, steps: int, done: int, levels: TrainedLevels, **_: object) -> Tail:
    """Over a picture: `fast_levels` for `done` calls, from the first of the scheduled levels to the last above 0."""
    within = TrainedLevels(torch.stack([scheduled[-2], scheduled[0]]))
    return Tail(scheduled[0], fast_levels(done, within))


def range_tail(scheduled: Tensor, steps: int, done: int, levels: TrainedLevels, **_: object) -> Tail:
    """Over a picture: the first of the scheduled levels and the last above 0."""
    return Tail(scheduled[0], torch.stack([scheduled[0], scheduled[-2]]).float())


def orders_of(calls: int) -> list[int]:
    """Order of each step of DPM-Solver-fast, so that they make `calls` model calls in all (the paper's app. D.3)."""
    third, rest = divmod(calls, 3)
    return [3] * third + [rest] if rest else [3] * (third - 1) + [2, 1]


@dataclasses.dataclass(frozen=True)
class _Solver:
    """Single steps of orders 1 to 3, algorithms 1 and 2 of the paper, from time `now`, where the noise `eps` in x is
    known.

    A time () is log(alpha / sigma). Levels are worked out from times and never the other way round, in k-diffusion's
    order: the adaptive solver's step lengths hang on the last digit.
    """

    denoise: Denoiser
    process: NoiseProcess

    def level(self, time: Tensor) -> Tensor:
        return self.process.level(time)

    def noise_in(self, x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
        return (x - self.process.alpha(sigma) * denoised) / sigma

    def at(self, x: Tensor, time: Tensor) -> Tensor:
        """The noise that the model sees in x: one call."""
        sigma = self.level(time)
        return self.noise_in(x, sigma, self.denoise(x, sigma))

    def reach(self, now: Tensor, then: Tensor, share: float) -> tuple[Tensor, Tensor, Tensor]:
        """(time after `share` of the step, how x shrinks on the way, h of this part)."""
        h = share * (then - now)
        time = now + h if share < 1 else then
        return time, self.process.alpha(self.level(time)) / self.process.alpha(self.level(now)), h

    def first(self, x: Tensor, now: Tensor, then: Tensor, eps: Tensor) -> Tensor:
        _, shrink, h = self.reach(now, then, 1)
        return shrink * x - self.level(then) * h.expm1() * eps

    def second(self, x: Tensor, now: Tensor, then: Tensor, eps: Tensor, *, share: float = 0.5) -> Tensor:
        return self.second_from(x, now, then, eps, self.part_way(x, now, then, eps, share), share=share)

    def part_way(self, x: Tensor, now: Tensor, then: Tensor, eps: Tensor, share: float) -> Tensor:
        """The noise seen after a first-order step over `share` of the way."""
        time, shrink, h = self.reach(now, then, share)
        return self.at(shrink * x - self.level(time) * h.expm1() * eps, time)

    def second_from(self, x: Tensor, now: Tensor, then: Tensor, eps: Tensor, later: Tensor, *, share: float) -> Tensor:
        _, shrink, h = self.reach(now, then, 1)
        target, grown = self.level(then), h.expm1()
        return shrink * x - target * grown * eps - target / (2 * share) * grown * (later - eps)

    def third(self, x: Tensor, now: Tensor, then: Tensor, eps: Tensor, *, later: Tensor | None = None) -> Tensor:
        """later: the noise seen after a third of the way, if it is known."""
        near, far = 1 / 3, 2 / 3
        if later is None:
            later = self.part_way(x, now, then, eps, near)
        time, shrink, h = self.reach(now, then, far)
        level, grown = self.level(time), h.expm1()
        ahead = shrink * x - level * grown * eps - level * (far / near) * (grown / h - 1) * (later - eps)
        latest = self.at(ahead, time)
        _, shrink, h = self.reach(now, then, 1)
        target, grown = self.level(then), h.expm1()
        return shrink * x - target * grown * eps - target / far * (grown / h - 1) * (latest - eps)

    def step(self, order: int, x: Tensor, now: Tensor, then: Tensor, eps: Tensor) -> Tensor:
        return (self.first, self.second, self.third)[order - 1](x, now, then, eps)

    def split(self, now: Tensor, then: Tensor, eta: float, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Like the process' split, but never further down than the end: (time to step to, how the result is scaled,
        weight of fresh noise).
        """
        if not eta:
            return then, torch.ones_like(then), torch.zeros_like(then)
        sigma, target = self.level(now), self.level(then)
        time = torch.minimum(end, log_snr(self.process, self.process.split(sigma, target, eta).down))
        down = self.level(time)
        scale = self.process.alpha(target) / self.process.alpha(down)
        return time, scale, (target**2 - (scale * down) ** 2).clamp(min=0) ** 0.5


def dpm_fast(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    steps: int,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Steps of third order, the last ones lower, so that `steps` counts model calls. x (B, C, H, W); sigmas as
    `fast_levels` gives them, above 0. eta 0 (none) .. 1: fresh noise a step.
    """
    solver, times = _Solver(denoise, process), [log_snr(process, sigma) for sigma in sigmas]
    for step, (order, (now, then)) in enumerate(zip(orders_of(steps), itertools.pairwise(times), strict=True)):
        down, scale, up = solver.split(now, then, eta, times[-1])
        sigma = solver.level(now)
        denoised = denoise(x, sigma)
        on_step(step, x, sigma, denoised)
        x = scale * solver.step(order, x, now, down, solver.noise_in(x, sigma, denoised))
        if eta:
            x = x + up * s_noise * noise()
    return x


def dpm_adaptive(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: NoiseProcess,
    noise: Noise,
    on_step: OnStep,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Steps of third order as long as the second-order answer allows (the paper's app. C), from the first of the levels
    to the last. One error for the whole batch, so a batch differs slightly from single pictures.
    """
    solver = _Solver(denoise, process)
    now, end = (log_snr(process, sigmas[place]) for place in (0, -1))
    h, previous, attempts = FIRST_STEP, x, 0
    while bool(now < end - CLOSE):
        then = torch.minimum(end, now + h)
        down, scale, up = solver.split(now, then, eta, end)
        sigma = solver.level(now)
        denoised = denoise(x, sigma)
        on_step(attempts, x, sigma, denoised)
        attempts += 1
        eps = solver.noise_in(x, sigma, denoised)
        third_way = solver.part_way(x, now, down, eps, 1 / 3)
        low = solver.second_from(x, now, down, eps, third_way, share=1 / 3)
        high = solver.third(x, now, down, eps, later=third_way)
        error = _error(low, high, previous)
        if not math.isfinite(error):
            return x * error  # no step is short enough for a model that answers with nonsense: say so in the latent
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / (1.5 if eta else 3)) - 1)
        if factor >= SAFETY:
            previous, now = low, then
            x = scale * high + (up * s_noise * noise() if eta else 0)
        h *= factor
    return x


def _error(low: Tensor, high: Tensor, previous: Tensor) -> float:
    """How far two answers lie apart, 1 = just too far."""
    allowed = (RELATIVE * torch.maximum(low.abs(), previous.abs())).clamp(min=ABSOLUTE)
    return float(torch.linalg.norm((low - high) / allowed)) / math.sqrt(low.numel())
