"""Cutting pictures for training as A1111's Extras tab does: in pieces, around what matters, to a size that fits.

Pure: `generate.postprocess` calls it. What matters is found by corners, by entropy and by faces (given).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Point = tuple[float, float]
Size = tuple[int, int]

MOST_CORNERS = 100
_QUALITY, _DISTANCE = 0.04, 0.06  # of corners: least strength, of the strongest; least distance, of the shorter side
_ENTROPY_STEP = 4
_SIDE_STEP = 64


def split(image: Image.Image, size: Size, *, threshold: float, overlap: float) -> list[Image.Image]:
    """Pieces of exactly `size`, in a row along the longer side, that overlap by at least this share; the picture alone
    if its shape differs less from the wanted one than `threshold` (0..1; 0 splits nothing).
    """
    tall = image.height > image.width
    length, breadth = (image.height, image.width) if tall else (image.width, image.height)
    wanted_length, wanted_breadth = (size[1], size[0]) if tall else size
    ratio = breadth * wanted_length / (length * wanted_breadth)
    if ratio >= 1 or ratio > threshold:
        return [image]
    scaled = max(length * wanted_breadth // breadth, wanted_length)
    image = image.resize((wanted_breadth, scaled) if tall else (scaled, wanted_breadth))
    count = max(1, math.ceil((scaled - wanted_length * overlap) / (wanted_length * (1 - overlap))))
    step = (scaled - wanted_length) / max(count - 1, 1)
    begins = [int(step * index) for index in range(count)]
    boxes = [(0, at, wanted_breadth, at + wanted_length) for at in begins]
    return [image.crop(box if tall else (box[1], box[0], box[3], box[2])) for box in boxes]


def flips(image: Image.Image, which: Sequence[str]) -> list[Image.Image]:
    """Mirrored copies: "Horizontal", "Vertical", "Both", in this order."""
    ways = {
        "Horizontal": Image.Transpose.FLIP_LEFT_RIGHT,
        "Vertical": Image.Transpose.FLIP_TOP_BOTTOM,
        "Both": Image.Transpose.ROTATE_180,
    }
    return [image.transpose(way) for name, way in ways.items() if name in which]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SizeRange:
    """Sides and areas in pixels that an automatic crop may have; threshold: how far the shape may be off, 0..1."""

    mindim: int = 384
    maxdim: int = 768
    minarea: int = 64 * 64
    maxarea: int = 640 * 640
    objective: str = "Maximize area"
    threshold: float = 0.1


def to_fitting_size(image: Image.Image, allowed: SizeRange) -> Image.Image | None:
    """The picture, cropped about its centre, at the best size that `allowed` has; None if it has none."""
    fitting = [size for size in _sizes(allowed) if _shape_error(image.size, size) <= allowed.threshold]
    largest = allowed.objective == "Maximize area"

    def merit(size: Size) -> tuple[float, float]:
        area, error = size[0] * size[1], -_shape_error(image.size, size)
        return (area, error) if largest else (error, area)

    return _about_centre(image, max(fitting, key=merit)) if fitting else None


def _sizes(allowed: SizeRange) -> Iterator[Size]:
    sides = range(allowed.mindim, allowed.maxdim + 1, _SIDE_STEP)
    yield from (
        (width, height) for width in sides for height in sides if allowed.minarea <= width * height <= allowed.maxarea
    )


def _shape_error(size: Size, wanted: Size) -> float:
    """0 for the same shape, towards 1 for ever more different ones."""
    ratio = size[0] / size[1] / (wanted[0] / wanted[1])
    return 1 - min(ratio, 1 / ratio)


def _about_centre(image: Image.Image, size: Size) -> Image.Image:
    width, height = image.size
    scale = min(width / size[0], height / size[1])
    left, top = (width - size[0] * scale) / 2, (height - size[1] * scale) / 2
    return image.resize(size, Image.Resampling.LANCZOS, (left, top, width - left, height - top))


# --- the focal point


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """What draws the focal point, 0..1 each."""

    face: float = 0.9
    entropy: float = 0.15
    edges: float = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Focus:
    """A crop about the focal point; debug: the whole picture with what it hangs on drawn in."""

    image: Image.Image
    debug: Image.Image


def scaled_for(image: Image.Image, size: Size) -> Image.Image:
    """The picture just large enough to hold `size`."""
    scale = max(size[0] / image.width, size[1] / image.height)
    return image.resize((max(size[0], int(image.width * scale)), max(size[1], int(image.height * scale))))


def around_focus(image: Image.Image, size: Size, weights: Weights, faces: Sequence[Point] = ()) -> Focus:
    """Crop a picture from `scaled_for` to exactly `size`, about the mean of its corners, entropy and faces (pixels)."""
    groups = {
        "Edge": (corners(image) if weights.edges > 0 else [], weights.edges),
        "Entropy": (_entropy_point(image, size) if weights.entropy > 0 else [], weights.entropy),
        "Face": (list(faces) if weights.face > 0 else [], weights.face),
    }
    found = {name: (points, weight) for name, (points, weight) in groups.items() if points}
    total = sum(weight for _, weight in found.values())
    middles = {name: _mean(points) for name, (points, _) in found.items()}
    focus = [
        round(sum(middles[name][axis] * weight for name, (_, weight) in found.items()) / total) if total else 0
        for axis in (0, 1)
    ]
    left, top = (
        min(max(at - wanted // 2, 0), there - wanted) for at, wanted, there in zip(focus, size, image.size, strict=True)
    )
    box = (left, top, left + size[0], top + size[1])
    return Focus(image=image.crop(box), debug=_drawn(image, found, (focus[0], focus[1]), box))


def _mean(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def corners(image: Image.Image) -> list[Point]:
    """Strong corners, the strongest first, at most 100 (J. Shi, C. Tomasi, Good Features to Track, 1994): OpenCV's.

    The lowest tenth of the picture is painted over: watermarks stand there.
    """
    from scipy import ndimage

    grey = image.convert("L")
    ImageDraw.Draw(grey).rectangle((0, grey.height * 0.9, grey.width, grey.height), fill=0x99)
    pixels = np.asarray(grey, dtype=np.float32) / 255
    x, y = (ndimage.sobel(pixels, axis=axis, mode="mirror") for axis in (1, 0))
    xx, xy, yy = (ndimage.uniform_filter(product, 3, mode="mirror") for product in (x * x, x * y, y * y))
    strength = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    peaks = (strength >= ndimage.maximum_filter(strength, 3)) & (strength > strength.max() * _QUALITY)
    peaks[[0, -1], :] = peaks[:, [0, -1]] = False
    rows, columns = np.nonzero(peaks)
    order = np.argsort(-strength[rows, columns], kind="stable")
    return _apart(columns[order], rows[order], min(grey.size) * _DISTANCE)


def _apart(columns: NDArray[np.intp], rows: NDArray[np.intp], distance: float) -> list[Point]:
    """The first points of the list that keep this distance from those taken before."""
    taken: list[Point] = []
    for x, y in zip(columns.tolist(), rows.tolist(), strict=True):
        if all((x - left) ** 2 + (y - top) ** 2 >= distance**2 for left, top in taken):
            taken.append((x, y))
        if len(taken) == MOST_CORNERS:
            break
    return taken


def _entropy_point(image: Image.Image, size: Size) -> list[Point]:
    """The middle of the window, moved along the longer side, in which the black-and-white picture is most mixed."""
    if image.width == image.height:
        return []
    axis = 0 if image.width > image.height else 1
    best, at = 0.0, 0
    for start in range(0, image.size[axis] - size[axis], _ENTROPY_STEP):
        box = (start, 0, start + size[0], size[1]) if axis == 0 else (0, start, size[0], start + size[1])
        entropy = _entropy(image.crop(box))
        if entropy > best:
            best, at = entropy, start
    corner = (at, 0) if axis == 0 else (0, at)
    return [(corner[0] + size[0] // 2, corner[1] + size[1] // 2)]


def _entropy(image: Image.Image) -> float:
    """A1111's measure: minus the sum of log2 of the shares of black and of white."""
    white = float(np.asarray(image.convert("1"), dtype=np.float64).mean())
    shares = [share for share in (white, 1 - white) if share > 0]
    return -sum(math.log2(share) for share in shares)


_COLOURS = {"Edge": "#00F", "Entropy": "#ff0", "Face": "#F00"}


def _drawn(
    image: Image.Image, found: dict[str, tuple[list[Point], float]], focus: Point, box: tuple[int, int, int, int]
) -> Image.Image:
    drawing = image.convert("RGB").copy()
    pen = ImageDraw.Draw(drawing)
    for name, (points, _) in found.items():
        for x, y in points:
            pen.rectangle((x - 2, y - 2, x + 2, y + 2), outline=_COLOURS[name])
    radius = min(image.size) * 0.035
    pen.ellipse((focus[0] - radius, focus[1] - radius, focus[0] + radius, focus[1] + radius), outline="#0F0")
    pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), outline="#0F0")
    return drawing
