"""Which noise levels a sampler visits: (steps + 1,) falling from sigma_max to 0, float32 on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from modules.core.process import TrainedLevels


def with_zero(sigmas: Tensor) -> Tensor:
    """Append the final noise level 0."""
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def uniform(steps: int, levels: TrainedLevels) -> Tensor:
    """Equal steps of model time, from the highest trained level to the lowest (k-diffusion's default)."""
    times = torch.linspace(len(levels.sigmas) - 1, 0, steps)
    return with_zero(levels.level_at(times))


def karras(steps: int, *, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Equal steps of sigma^(1/rho): Karras et al. 2022, eq. 5."""
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return with_zero((high + ramp * (low - high)) ** rho)


def exponential(steps: int, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Equal steps of log sigma."""
    logs = torch.linspace(torch.tensor(sigma_max).log().item(), torch.tensor(sigma_min).log().item(), steps)
    return with_zero(logs.exp())


def without_penultimate(sigmas: Tensor) -> Tensor:
    """Drop the level before the final 0: the last step then jumps further (`discard_next_to_last_sigma`)."""
    return torch.cat([sigmas[:-2], sigmas[-1:]])
