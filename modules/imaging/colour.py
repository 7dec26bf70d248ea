"""Giving a picture the colours of another, as A1111 does after img2img: histograms matched in CIE Lab, brightness kept.

Lab here is OpenCV's for 8-bit pixels, in its integer arithmetic, so that both directions agree with it bit for bit.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Ints = NDArray[np.int64]

_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_TO_RGB = ((3.240479, -1.537150, -0.498535), (-0.969256, 1.875991, 0.041556), (0.055648, -0.204043, 1.057311))
"""Linear sRGB to CIE XYZ and back (ITU-R BT.709 primaries)."""
_WHITE = np.array((0.950456, 1.0, 1.088754))
"""D65."""
_LUMA = np.array((0.299, 0.587, 0.114))

_GAMMA = 8
"""Linear light is counted in this fraction of a level."""
_SHIFT = 12
_BASE = 1 << 14
_LOWEST = -8145
"""Where the table of `_xz` starts."""


def corrected(image: Image.Image, target: Image.Image) -> Image.Image:
    """An RGB picture with the colours of another, of any size: each Lab channel's histogram becomes the target's, then
    the picture's own brightness is put back (blend mode "luminosity").
    """
    pixels = np.asarray(image.convert("RGB"))
    lab, wanted = to_lab(pixels), to_lab(np.asarray(target.convert("RGB")))
    matched = np.stack([_matched(lab[..., channel], wanted[..., channel]) for channel in range(3)], axis=-1)
    return Image.fromarray(_with_brightness(to_rgb(matched), pixels), "RGB")


def _matched(channel: Pixels, target: Pixels) -> Pixels:
    """The channel (H, W) with the cumulative histogram of the target (any shape); truncated to whole levels."""
    have, want = np.bincount(channel.ravel()), np.bincount(target.ravel())
    levels = np.flatnonzero(want)
    reached = np.interp(np.cumsum(have) / channel.size, np.cumsum(want[levels]) / target.size, levels)
    table: Pixels = reached.astype(np.uint8)
    return table[channel]


def _with_brightness(colours: Pixels, brightness: Pixels) -> Pixels:
    """The first picture's hue and saturation with the second's luma (W3C compositing, "luminosity")."""
    rgb = colours / 255
    rgb = rgb + ((brightness / 255) @ _LUMA - rgb @ _LUMA)[..., None]
    luma = (rgb @ _LUMA)[..., None]
    low, high = rgb.min(axis=-1, keepdims=True), rgb.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        rgb = np.where(low < 0, luma + (rgb - luma) * luma / (luma - low), rgb)
        rgb = np.where(high > 1, luma + (rgb - luma) * (1 - luma) / (high - luma), rgb)
    levels: Pixels = (np.clip(np.nan_to_num(rgb), 0, 1) * 255).astype(np.uint8)
    return levels


def to_lab(rgb: Pixels) -> Pixels:
    """sRGB (…, 3) -> L in 0..255, a and b around 128."""
    light = _linear()[rgb]
    weights = np.rint(np.array(_TO_XYZ) / _WHITE[:, None] * (1 << _SHIFT)).astype(np.int64)
    x, y, z = np.moveaxis(_roots()[_rounded(light @ weights.T, _SHIFT)], -1, 0)
    shift = _SHIFT + 3
    lightness = _rounded((116 * 255 + 50) // 100 * y - (16 * 255 * (1 << shift) + 50) // 100, shift)
    a = _rounded(500 * (x - y) + (128 << shift), shift)
    b = _rounded(200 * (y - z) + (128 << shift), shift)
    return np.clip(np.stack([lightness, a, b], axis=-1), 0, 255).astype(np.uint8)


def to_rgb(lab: Pixels) -> Pixels:
    """The inverse of `to_lab`, as far as 8 bits go."""
    lightness, a, b = (lab[..., channel].astype(np.int64) for channel in range(3))
    y, root = (table[lightness] for table in _luminances())
    x = _xz()[root + ((5 * a * 53687 + 128) >> 13) - 128 * _BASE // 500 - _LOWEST]
    z = _xz()[root - (((b * 41943 + 16) >> 9) - 128 * _BASE // 200 + 1) - _LOWEST]
    weights = np.rint(np.array(_TO_RGB) * _WHITE * (1 << _SHIFT)).astype(np.int64)
    light = _rounded(np.stack([x, y, z], axis=-1) @ weights.T, _SHIFT + 2)
    return _encoded()[np.clip(light, 0, (1 << _SHIFT) - 1)]


def _rounded(values: Ints, shift: int) -> Ints:
    return (values + (1 << (shift - 1))) >> shift


@functools.cache
def _linear() -> Ints:
    """Level -> linear light, 0 .. 255 * `_GAMMA`."""
    share = np.arange(256) / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    table: Ints = np.rint(255 * _GAMMA * light).astype(np.int64)
    return table


@functools.cache
def _roots() -> Ints:
    """Light -> CIE's cube root with a straight beginning, in 2^15ths."""
    share = np.arange(256 * 3 // 2 * _GAMMA) / (255 * _GAMMA)
    root = np.where(share < 216 / 24389, share * 841 / 108 + 16 / 116, np.cbrt(share))
    table: Ints = np.rint((1 << (_SHIFT + 3)) * root).astype(np.int64)
    table[[49, 628]] += (-1, 1)  # within 1e-4 of a half: OpenCV's float32 root falls on the other side
    return table


@functools.cache
def _luminances() -> tuple[Ints, Ints]:
    """(L -> Y, L -> its root), both in `_BASE`ths."""
    level = np.arange(256)
    root = np.where(level <= 20, _BASE * (16 / 116 + level * 5 / (3 * 17 * 29)), (level / 255 * 100 + 16) / 116 * _BASE)
    y = np.where(level <= 20, level * _BASE * 180 / (17 * 29**3), root**3 / _BASE**2)
    return np.rint(y).astype(np.int64), np.rint(root).astype(np.int64)


@functools.cache
def _xz() -> Ints:
    """Root (from `_LOWEST` on) -> X or Z, in `_BASE`ths; divisions go towards zero."""
    values = []
    for root in range(_LOWEST, _BASE * 9 // 4 + _LOWEST):
        if root <= 3390:
            values.append(int(root * 108 / 841) - _BASE * 16 // 116 * 108 // 841)
        else:
            values.append(root * root // _BASE * root // _BASE)
    return np.array(values, dtype=np.int64)


@functools.cache
def _encoded() -> Pixels:
    """Linear light in 4096ths -> sRGB level."""
    share = np.arange(1 << _SHIFT) / (1 << _SHIFT)
    level = np.where(share <= 0.0031308, share * 12.92, share ** (1 / 2.4) * 1.055 - 0.055)
    table: Pixels = np.rint(255 * level).astype(np.uint8)
    return table
