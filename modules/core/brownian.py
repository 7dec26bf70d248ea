"""Brownian motion by seed: the same path whatever points of it are asked for, and in whatever order.

Stochastic samplers draw their noise from one path a picture (k-diffusion's way), so that pictures keep their look when
the number of steps changes. The path is a dyadic tree: an interval's increment is split at its middle with noise whose
seed follows from the picture's seed and the place in the tree. Seeds and splits are those of torchsde's `BrownianTree`
(Kidger et al. 2021, https://arxiv.org/abs/2105.13493, section 4), the numbers come from `core.noise`'s sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

DIGITS = 6
"""Times are rounded to this many decimals: the finest split is about 1e-6."""
POOL = 24
KEPT = 8

Draw = Callable[[int], Tensor]
"""Seed (0 .. 2^32-1) -> standard normal numbers, always of the same shape."""


class BrownianPath:
    """W over low..high with W(low) = 0; `draw` gives noise of the path's shape."""

    def __init__(self, low: float, high: float, *, seed: int, draw: Draw) -> None:
        self._low, self._high = round(low, DIGITS), round(high, DIGITS)
        self._seed = seed
        self._draw = draw
        first = np.random.SeedSequence(entropy=seed, pool_size=POOL).generate_state(3)[0]
        self._whole = draw(int(first)) * math.sqrt(high - low)
        self._known: dict[float, Tensor] = {}

    def increment(self, start: float, end: float) -> Tensor:
        """W(end) - W(start); times outside low..high are moved to its ends."""
        return self._at(end) - self._at(start)

    def _at(self, time: float) -> Tensor:
        """W(time). The newest answers are kept: a sampler's next interval starts where the last one ended."""
        time = round(min(max(time, self._low), self._high), DIGITS)
        if time not in self._known:
            while len(self._known) >= KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[time] = self._descend(time)
        return self._known[time]

    def _descend(self, time: float) -> Tensor:
        """Walk down the tree to the interval that ends at `time`, adding up what lies to the left."""
        low, high, whole = self._low, self._high, self._whole
        left = torch.zeros_like(whole)
        place, depth = 0, 0
        while low < time < high:
            middle = round(0.5 * (high + low), DIGITS)
            share = (middle - low) / (high - low)
            noise = self._draw(self._seed_at(place, depth))
            part = share * whole + math.sqrt((middle - low) * (high - middle) / (high - low)) * noise
            if time < middle:
                high, whole, place = middle, part, 2 * place
            else:
                low, whole, place, left = middle, whole - part, 2 * place + 1, left + part
            depth += 1
        return left if time <= low else left + whole

    def _seed_at(self, place: int, depth: int) -> int:
        sequence = np.random.SeedSequence(entropy=self._seed, spawn_key=(place, depth), pool_size=POOL)
        return int(sequence.generate_state(4)[0])


class BrownianNoise:
    """Standard normal noise for steps between noise levels: (sigma, target) -> (B, C, H, W).

    paths: one a picture, each (C, H, W); batched: a single one of shape (B, C, H, W).
    """

    def __init__(self, paths: Sequence[BrownianPath], *, batched: bool = False) -> None:
        self._paths = paths
        self._join = torch.cat if batched else torch.stack

    def __call__(self, sigma: Tensor, target: Tensor) -> Tensor:
        """The paths' increments from sigma () to target () over the root of their distance. ValueError if equal."""
        start, end = float(sigma), float(target)
        if start == end:
            raise ValueError(f"No noise lies between the noise level {start} and itself.")
        return self._join([path.increment(start, end) for path in self._paths]) / math.sqrt(abs(end - start))
