"""What lies around a picture to begin with when it is extended: noise with the picture's spectrum and colours.

The method is parlance-zz's, known from "outpainting mk2": white noise takes the amplitudes and phases of the picture's
Fourier transform, then its histogram.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


def extended(picture: Floats, mask: Floats, *, exponent: float = 1.0, colour: float = 0.05) -> Floats:
    """picture (H, W, 3) in 0..1, mask (H, W) 1 where there is nothing yet -> (H, W, 3) with noise there.

    exponent: how much the picture's strong frequencies prevail, 0..4, lower gives more detail; colour 0..1: how
    colourful the noise is. The same for the same input: its generator has a seed of its own.
    """
    rgb_mask = mask[..., None]
    known = picture * (1 - rgb_mask)
    known = known / (known.max() or 1.0) + picture.mean() * rgb_mask  # not black there: edges would ring
    spectrum = _transformed(known)
    strength = np.abs(spectrum)
    phase = np.divide(spectrum, strength, out=np.zeros_like(spectrum), where=strength > 0)

    noise = np.random.default_rng(0).random(picture.shape)
    noise = noise * colour + noise.mean(axis=2, keepdims=True) * (1 - colour)
    noise = _back(_transformed(noise) * _window(*picture.shape[:2])[..., None])
    shaped = _back(np.abs(_transformed(noise)) ** 2 * strength**exponent * phase)
    shaped -= shaped.min()
    shaped /= shaped.max() or 1.0

    new, old = mask > 1e-6, mask < 1e-3
    if new.any() and old.any():
        shaped[new] = _with_histogram(shaped[new], picture[old])
    mixed: Floats = np.clip(picture * (1 - rgb_mask) + shaped * rgb_mask, 0.0, 1.0)
    return mixed


def _transformed(values: Floats) -> Complex:
    """The Fourier transform of each channel (H, W, C), its origin in the middle before and after."""
    centred = np.fft.fft2(np.fft.fftshift(values, axes=(0, 1)), axes=(0, 1), norm="ortho")
    return np.fft.ifftshift(centred, axes=(0, 1))


def _back(values: Complex | Floats) -> Floats:
    """The real part of what has this transform."""
    centred = np.fft.ifft2(np.fft.fftshift(values, axes=(0, 1)), axes=(0, 1), norm="ortho")
    return np.real(np.fft.ifftshift(centred, axes=(0, 1)))


def _window(height: int, width: int) -> Floats:
    """(H, W), 1 in the middle, falling like 1 / (1 + distance^2) along each axis."""
    short = min(height, width)
    y, x = (((np.arange(side) / side * 2 - 1) * (side / short)) ** 2 for side in (height, width))
    window: Floats = 1 / ((y[:, None] + 1) * (x[None, :] + 1))
    return window


def _with_histogram(values: Floats, like: Floats) -> Floats:
    """values (N, C) with the distribution of `like` (M, C), channel by channel, the order of values kept."""
    matched = np.empty_like(values)
    for channel in range(values.shape[1]):
        _, place, counts = np.unique(values[:, channel], return_inverse=True, return_counts=True)
        levels, wanted = np.unique(like[:, channel], return_counts=True)
        reached = np.interp(np.cumsum(counts) / len(values), np.cumsum(wanted) / len(like), levels)
        matched[:, channel] = reached[place]
    return matched
