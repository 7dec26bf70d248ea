"""Which noise levels a sampler visits: falling from sigma_max to 0 (or to sigma_min, where said), float32, CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modules.core.process import TrainedLevels
from modules.samplers.catalog import Tail


def with_zero(sigmas: Tensor) -> Tensor:
    """Append the final noise level 0."""
    return torch.cat([sigmas.float(), torch.zeros(1)])


def uniform(steps: int, levels: TrainedLevels, *, sigma_min: float = 0.0, sigma_max: float = 0.0) -> Tensor:
    """The model's own: most often equal steps of model time from the highest trained level to the lowest.

    sigma_min and sigma_max are taken and left alone, as in A1111.
    """
    return with_zero(levels.own(steps))


def karras(steps: int, *, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Equal steps of sigma^(1/rho): Karras et al. 2022, eq. 5."""
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return with_zero((high + ramp * (low - high)) ** rho)


def exponential(steps: int, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Equal steps of log sigma."""
    return with_zero(torch.linspace(math.log(sigma_max), math.log(sigma_min), steps).exp())


def polyexponential(steps: int, *, sigma_min: float, sigma_max: float, rho: float = 1.0) -> Tensor:
    """A power of a linear ramp of log sigma; rho 1 is `exponential`, a larger one stays longer at low levels."""
    ramp = torch.linspace(1, 0, steps) ** rho
    low, high = math.log(sigma_min), math.log(sigma_max)
    return with_zero((ramp * (high - low) + low).exp())


def sgm_uniform(steps: int, levels: TrainedLevels, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Equal steps of model time whose last one is the step to 0 (Stability's generative-models)."""
    return with_zero(levels.level_at(_times(levels, sigma_max, sigma_min, steps + 1)[:-1]))


def normal(steps: int, levels: TrainedLevels, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Equal steps of model time between two noise levels."""
    return with_zero(levels.level_at(_times(levels, sigma_max, sigma_min, steps)))


def kl_optimal(steps: int, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Equal steps of atan(sigma) (Sabour et al. 2024, eq. 13). Ends at sigma_min, not at 0."""
    share = torch.arange(steps + 1) / steps
    low, high = torch.tensor(sigma_min).arctan(), torch.tensor(sigma_max).arctan()
    return (share * low + (1.0 - share) * high).tan()


_ALIGNED = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
_ALIGNED_XL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)
"""Noise levels found for Stable Diffusion 1.5 and XL (Sabour et al. 2024, https://arxiv.org/abs/2404.14507)."""


def align_your_steps(steps: int, *, sigma_min: float, sigma_max: float, family: str = "") -> Tensor:
    """The published levels of the SDXL line, or SD 1.5's for every other family; for other numbers of steps they are
    interpolated in log sigma; the range is theirs.
    """
    published = _ALIGNED_XL if family.startswith("sdxl") else _ALIGNED
    table = torch.tensor(published, dtype=torch.float64).log()
    if steps == len(published):
        return with_zero(torch.tensor(published))
    # numbered from the low end, so that one step alone is the lowest level, as in the published recipe
    place = torch.linspace(0, len(table) - 1, steps, dtype=torch.float64)
    low = place.floor().long().clamp(max=len(table) - 2)
    rising = table.flip(0)
    logs = rising[low] + (place - low) * (rising[low + 1] - rising[low])
    return with_zero(logs.exp().flip(0).float())


def simple(steps: int, levels: TrainedLevels, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Every so many-th trained level, from the highest."""
    stride = len(levels.sigmas) / steps
    return with_zero(levels.sigmas[[-(1 + int(step * stride)) for step in range(steps)]])


def ddim(steps: int, levels: TrainedLevels, *, sigma_min: float, sigma_max: float) -> Tensor:
    """DDIM's equally spaced trained levels from the second lowest up; their number can exceed `steps` by a few."""
    stride = max(len(levels.sigmas) // steps, 1)
    return with_zero(levels.sigmas[1::stride].flip(0))


def beta(
    steps: int, levels: TrainedLevels, *, sigma_min: float, sigma_max: float, alpha: float = 0.6, beta: float = 0.6
) -> Tensor:
    """Quantiles of the beta distribution stretched over the range of sigma (after Lee et al. 2024,
    https://arxiv.org/abs/2407.12173); alpha, beta > 0.
    """
    from scipy.special import betaincinv

    shares = 1 - torch.linspace(0, 1, steps, dtype=torch.float64)
    places = torch.as_tensor(betaincinv(alpha, beta, shares.numpy()))
    return with_zero((sigma_min + places * (sigma_max - sigma_min)).float())


def linear_quadratic(steps: int, *, sigma_min: float, sigma_max: float, threshold: float = 0.025) -> Tensor:
    """Half the steps go through the first `threshold` of the way linearly, the rest quadratically (Genmo's Mochi 1)."""
    if steps == 1:
        return torch.tensor([sigma_max, 0.0])
    linear = steps // 2
    rest = steps - linear
    excess = linear - threshold * steps
    square = excess / (linear * rest**2)
    slope = threshold / linear - 2 * excess / rest**2
    done = [step * threshold / linear for step in range(linear)]
    done += [square * step**2 + slope * step + square * linear**2 for step in range(linear, steps)]
    return torch.tensor([*(1 - share for share in done), 0.0]) * sigma_max


def turbo(steps: int, levels: TrainedLevels, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Trained levels at the ends of equal parts of model time, as SD-Turbo's few steps want them."""
    count = len(levels.sigmas)
    times = (torch.arange(1, steps + 1) * (count / steps) - 1).round().long().clamp(0, count - 1)
    return with_zero(levels.sigmas[times.flip(0)])


def without_penultimate(sigmas: Tensor) -> Tensor:
    """Drop the level before the last: the last step then jumps further (`discard_next_to_last_sigma`)."""
    return torch.cat([sigmas[:-2], sigmas[-1:]])


def _times(levels: TrainedLevels, high: float, low: float, count: int) -> Tensor:
    start, end = (float(levels.time_at(torch.tensor(level))) for level in (high, low))
    return torch.linspace(start, end, count)


def ddim_times(steps: int, levels: TrainedLevels, **_: object) -> Tensor:
    """The levels of the timestep samplers (DDIM, PLMS): each (N // steps)-th trained time plus one, falling, without 0.

    Latent diffusion's spacing: the number of steps is that of the levels less one, and can differ from `steps`.
    """
    count = len(levels.sigmas)
    times = torch.arange(0, count, max(count // steps, 1)) + 1
    return levels.sigmas[times.clamp(max=count - 1)].flip(0).float()


def ddim_tail(scheduled: Tensor, steps: int, done: int, levels: TrainedLevels, **_: object) -> Tail:
    """Over a picture: it is noised to the `done`-th level from below and sampled from the next one on, as in latent
    diffusion.
    """
    times = ddim_times(steps, levels)
    first = max(0, len(times) - done)
    return Tail(times[first], times[min(first + 1, len(times) - 1) :])


def unipc_times(steps: int, levels: TrainedLevels, *, spacing: str = "time_uniform", **_: object) -> Tensor:
    """UniPC's levels (Zhao et al. 2023): as many steps as `ddim_times` has levels, over the whole trained range.

    spacing: "time_uniform", "time_quadratic" or "logSNR". Times run from 1/N to 1; between two trained ones log alpha
    is interpolated, as in DPM-Solver's code. Raises ValueError for another spacing.
    """
    return _unipc(levels, 1.0, len(ddim_times(steps, levels)), spacing)


def unipc_tail(
    scheduled: Tensor, steps: int, done: int, levels: TrainedLevels, *, spacing: str = "time_uniform", **_: object
) -> Tail:
    """Over a picture: noised as by `ddim_tail`, then as many steps as that has levels, from its first level on."""
    start, times = ddim_tail(scheduled, steps, done, levels)
    if done < 2:
        return Tail(start, times)
    first = int((levels.sigmas - times[0]).abs().argmin())
    return Tail(start, _unipc(levels, (first + 1) / len(levels.sigmas), len(times), spacing))


def _unipc(levels: TrainedLevels, begin: float, steps: int, spacing: str) -> Tensor:
    """UniPC's levels from time `begin` (1 = the highest level) down to 1/N, (steps + 1,)."""
    logs = -0.5 * torch.log1p(levels.sigmas.double() ** 2)
    count, number = len(logs), steps + 1
    if spacing == "logSNR":
        highest = float(levels.sigmas[round(begin * count) - 1])
        start, end = -math.log(highest), -math.log(levels.lowest)
        return torch.linspace(start, end, number, dtype=torch.float64).neg().exp().float()
    power = {"time_uniform": 1, "time_quadratic": 2}.get(spacing)
    if power is None:
        raise ValueError(f'UniPC has no spacing "{spacing}": time_uniform, time_quadratic or logSNR.')
    first, last = (each ** (1 / power) for each in (begin, 1 / count))
    times = torch.linspace(first, last, number, dtype=torch.float64) ** power * count - 1
    low = times.floor().long().clamp(0, count - 2)
    log_alpha = logs[low] + (times - low) * (logs[low + 1] - logs[low])
    return torch.expm1(-2 * log_alpha).sqrt().float()
