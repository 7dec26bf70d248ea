"""The fast filter is the plain one: sort the surroundings, stack them by weight, take the mean of a part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.imaging.histogram import gaussian_kernel, weighted_mean


def plainly(values: np.ndarray, kernel: np.ndarray, low: float, high: float, least: float) -> np.ndarray:
    """The same, one pixel after the other."""
    result = np.zeros(values.shape)
    reach = kernel.shape[0] // 2
    for y, x in np.ndindex(*values.shape):
        stack = []
        for down, right in np.ndindex(*kernel.shape):
            at = (y + down - reach, x + right - reach)
            if 0 <= at[0] < values.shape[0] and 0 <= at[1] < values.shape[1]:
                stack.append((float(values[at]), float(kernel[down, right])))
        stack.sort(key=lambda entry: entry[0])
        height = sum(weight for _, weight in stack)
        begin, end = height * low, height * high
        if end - begin < least:
            begin, end = (begin + end) / 2 - least / 2, (begin + end) / 2 + least / 2
            if end > height:
                begin, end = height - least, height
            if begin < 0:
                begin, end = 0.0, least
        top, total, taken = 0.0, 0.0, 0.0
        for value, weight in stack:
            part = max(0.0, min(end, top + weight) - max(begin, top))
            top, total, taken = top + weight, total + value * part, taken + part
        result[y, x] = total / taken if taken else 0.0
    return result


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([(0.9, 1.0), (0.25, 0.75), (0.0, 1.0), (0.5, 0.5), (0.0, 0.1)]),
    st.sampled_from([0.2, 1.0, 4.0]),
    st.integers(0, 99),
)
def test_as_pixel_by_pixel(height: int, width: int, between: tuple[float, float], least: float, seed: int) -> None:
    values = np.random.default_rng(seed).random((height, width)).round(1)
    kernel = gaussian_kernel(deviation=1.5, radius=2)
    expected = plainly(values, kernel, *between, least)
    assert weighted_mean(values, kernel, between=between, least=least) == pytest.approx(expected, abs=1e-9)


def test_the_kernel_falls_from_one_and_would_be_zero_one_pixel_further() -> None:
    kernel = gaussian_kernel(deviation=1.5, radius=2)
    assert kernel.shape == (5, 5)
    assert kernel[2, 2] == pytest.approx(1)
    assert kernel[2, 1] > kernel[2, 0] > 0
    assert (kernel == kernel.T).all()
    assert (kernel >= 0).all()


def test_of_one_level_nothing_is_left_but_it() -> None:
    kernel = gaussian_kernel(deviation=1.5, radius=2)
    assert weighted_mean(np.full((6, 7), 0.3), kernel, between=(0.9, 1.0)) == pytest.approx(np.full((6, 7), 0.3))
