"""The arithmetic of preprocessors, over uint8 pictures (H, W, 3): edges, lines, blurs, colours. numpy and scipy alone.

Formulas are those of the well-known extension's preprocessors, where OpenCV works; what OpenCV rounds otherwise may
differ by a level.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modules.imaging import colour

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]


def resized(pixels: Pixels, resolution: int) -> Pixels:
    """With a shorter side of so many pixels."""
    height, width = pixels.shape[:2]
    factor = resolution / min(height, width)
    return to_size(pixels, (max(1, round(width * factor)), max(1, round(height * factor))))


def to_size(pixels: Pixels, size: tuple[int, int], *, nearest: bool = False) -> Pixels:
    """At size (width, height): means of areas where it gets smaller, cubic where larger."""
    height, width = pixels.shape[:2]
    if size == (width, height):
        return pixels
    smaller = size[0] * size[1] < width * height
    way = Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.NEAREST if nearest else way))


def smaller(pixels: Pixels, rate: float) -> Pixels:
    """The picture so many times smaller; below 1.1 as it is."""
    if rate < 1.1:
        return pixels
    height, width = pixels.shape[:2]
    return to_size(pixels, (max(1, int(width / rate)), max(1, int(height / rate))))


def canny(pixels: Pixels, low: float, high: float) -> Pixels:
    """Canny's edges (Canny 1986) with OpenCV's choices: Sobel of 3 x 3 pixels, of the strongest channel, |x| + |y|."""
    from scipy import ndimage

    x, y = _slopes(pixels)
    strength = np.pad(np.abs(x) + np.abs(y), 1)
    middle = strength[1:-1, 1:-1]

    def at(down: int, right: int) -> NDArray[np.int32]:
        return strength[1 + down : 1 + down + middle.shape[0], 1 + right : 1 + right + middle.shape[1]]

    flat, steep = np.abs(y) < np.abs(x) * _TAN, np.abs(y) > np.abs(x) * (_TAN + 2)
    falling = (x >= 0) == (y >= 0)
    horizontal = flat & (middle > at(0, -1)) & (middle >= at(0, 1))
    vertical = steep & (middle > at(-1, 0)) & (middle >= at(1, 0))
    down = ~flat & ~steep & falling & (middle > at(-1, -1)) & (middle > at(1, 1))
    up = ~flat & ~steep & ~falling & (middle > at(-1, 1)) & (middle > at(1, -1))
    low, high = sorted((low, high))
    candidates = (horizontal | vertical | down | up) & (middle > low)
    labels, count = ndimage.label(candidates, structure=np.ones((3, 3)))
    strong = np.zeros(count + 1, dtype=bool)
    strong[np.unique(labels[candidates & (middle > high)])] = True
    strong[0] = False
    return _grey(np.where(strong[labels], 255, 0))


_TAN = float(np.tan(np.pi / 8))


def _slopes(pixels: Pixels) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Along x and y (H, W): of each pixel's strongest channel."""
    from scipy import ndimage

    values = pixels.astype(np.int32)

    def along(axis: int) -> NDArray[np.int32]:
        slope = ndimage.correlate1d(values, [-1, 0, 1], axis=axis, mode="nearest")
        result: NDArray[np.int32] = ndimage.correlate1d(slope, [1, 2, 1], axis=1 - axis, mode="nearest")
        return result

    both = [along(1), along(0)]
    strongest = (np.abs(both[0]) + np.abs(both[1])).argmax(axis=2)[..., None]
    x, y = (np.take_along_axis(each, strongest, axis=2)[..., 0] for each in both)
    return x, y


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    """A Gaussian of so many pixels."""
    return np.clip(np.rint(_gaussian(pixels, sigma)), 0, 255).astype(np.uint8)


def _gaussian(pixels: Pixels, sigma: float) -> Floats:
    from scipy import ndimage

    result: Floats = ndimage.gaussian_filter(pixels.astype(np.float32), (sigma, sigma, 0), mode="mirror", truncate=4.0)
    return result


def lineart(pixels: Pixels) -> Pixels:
    """Dark lines on a light ground -> light ones on black."""
    depth = np.clip((_gaussian(pixels, 6.0) - pixels).min(axis=2), 0, 255)
    lines = depth[depth > 8]
    return _grey(depth / max(16.0, float(np.median(lines)) if lines.size else 16.0) * 127)


def xdog(pixels: Pixels, threshold: float) -> Pixels:
    """Lines as the difference of two Gaussians shows them."""
    difference = np.clip(255 - (_gaussian(pixels, 5.0) - _gaussian(pixels, 0.5)).min(axis=2), 0, 255).astype(np.uint8)
    return _grey(np.where(2 * (255 - difference.astype(np.int32)) > threshold, 255, 0))


def threshold(pixels: Pixels, level: float) -> Pixels:
    """White where every channel is above the level."""
    return _grey(np.where(pixels.min(axis=2) > level, 255, 0))


def luminance(pixels: Pixels, gamma: float) -> Pixels:
    """L of L*a*b*."""
    return _powered(colour.to_lab(pixels)[..., 0], gamma)


def intensity(pixels: Pixels, gamma: float) -> Pixels:
    """The strongest channel."""
    return _powered(pixels.max(axis=2), gamma)


def _powered(levels: Pixels, gamma: float) -> Pixels:
    return _grey((levels.astype(np.float32) / 255) ** gamma * 255)


def grid(pixels: Pixels) -> Pixels:
    """Cells of 64 pixels, each of one colour."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels).resize((max(1, width // 64), max(1, height // 64)), Image.Resampling.BICUBIC)
    return np.asarray(image.resize((width, height), Image.Resampling.NEAREST))


def shuffled(pixels: Pixels, seed: int) -> Pixels:
    """Each place shows another one, in smooth random waves of 256 pixels."""
    from scipy import ndimage

    height, width = pixels.shape[:2]
    chance = np.random.default_rng(seed & 0xFFFFFFFF)
    y, x = (_waves(chance, height, width) * (side - 1) for side in (height, width))
    channels = [ndimage.map_coordinates(pixels[..., each].astype(np.float32), [y, x], order=1) for each in range(3)]
    moved: Pixels = np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)
    return moved


def _waves(chance: np.random.Generator, height: int, width: int) -> Floats:
    """(H, W) in 0..1, which it reaches."""
    coarse = chance.random((height // 256 + 4, width // 256 + 4), dtype=np.float32)
    image = Image.fromarray(coarse).resize((coarse.shape[1] * 256, coarse.shape[0] * 256), Image.Resampling.BICUBIC)
    waves = np.asarray(image)[256 : 256 + height, 256 : 256 + width]
    least, most = float(waves.min()), float(waves.max())
    return np.asarray((waves - least) / max(most - least, 1e-6), dtype=np.float32)


def _grey(levels: NDArray[Any]) -> Pixels:
    """(H, W) of 0..255 -> (H, W, 3)."""
    whole = np.clip(levels, 0, 255).astype(np.uint8)
    return np.repeat(whole[..., None], 3, axis=2)
