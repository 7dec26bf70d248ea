"""Smoothing that keeps edges: each pixel becomes the mean of a part of its surroundings' sorted values.

A weighted median, maximum or anything between; `extensions/soft_inpainting` finds with it how much a picture has
changed where.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def gaussian_kernel(*, deviation: float, radius: int) -> Floats:
    """(2 radius + 1, 2 radius + 1): exp(-(d / deviation)^2), brought down so that it is 0 one pixel beyond the radius
    and 1 in the middle.
    """
    offsets = np.arange(-radius, radius + 1)
    bell = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / deviation**2)
    zero = math.exp(-((radius + 1) ** 2) / deviation**2)
    kernel: Floats = np.maximum(0.0, (bell - zero) / (1 - zero))
    return kernel


def weighted_mean(values: NDArray[Any], kernel: Floats, *, between: tuple[float, float], least: float = 1.0) -> Floats:
    """values (H, W) -> (H, W): of the surroundings, sorted and stacked by their weights in the kernel (odd sides), the
    mean of what lies between two shares (0..1) of the stack's height. The part is at least `least` high; beyond the
    border there is nothing.
    """
    around, weights = _surroundings(values.astype(np.float64), kernel)
    order = np.argsort(around, axis=0, kind="stable")
    around, weights = (np.take_along_axis(each, order, axis=0) for each in (around, weights))
    tops = np.cumsum(weights, axis=0)
    low, high = _part(tops[-1], between, least)
    taken = np.maximum(0.0, np.minimum(high, tops) - np.maximum(low, tops - weights))
    total = taken.sum(axis=0)
    mean: Floats = np.divide((around * taken).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    return mean


def _surroundings(values: Floats, kernel: Floats) -> tuple[Floats, Floats]:
    """(K, H, W) twice: the value at each place of the kernel, and its weight, 0 beyond the border."""
    height, width = values.shape
    down, right = (side // 2 for side in kernel.shape)
    padded = np.pad(values, ((down, down), (right, right)))
    inside = np.pad(np.ones_like(values), ((down, down), (right, right)))
    places = list(np.ndindex(*kernel.shape))
    around = np.stack([padded[y : y + height, x : x + width] for y, x in places])
    weights = np.stack([inside[y : y + height, x : x + width] * kernel[y, x] for y, x in places])
    return around, weights


def _part(heights: Floats, between: tuple[float, float], least: float) -> tuple[Floats, Floats]:
    """Where the part of each stack begins and ends."""
    low, high = (heights * share for share in between)
    narrow = high - low < least
    middle = (low + high) / 2
    low, high = np.where(narrow, middle - least / 2, low), np.where(narrow, middle + least / 2, high)
    over = narrow & (high > heights)
    low, high = np.where(over, heights - least, low), np.where(over, heights, high)
    under = narrow & (low < 0)
    return np.where(under, 0.0, low), np.where(under, least, high)
