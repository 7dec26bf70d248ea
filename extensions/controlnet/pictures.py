"""From a unit's picture to the map that its network is shown: chosen, masked, cropped, preprocessed and fitted.

Pixels only, no tensors. `shown` is the story.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.request import Generation, Img2Img
from modules.imaging import masks
from modules.imaging.inputs import Inputs
from modules.imaging.resize import Mode, resize

from . import maps, preprocessors
from .maps import Pixels
from .preprocessors import Preprocessor
from .units import RESIZE, Unit

STRETCH, CROP, FILL = RESIZE


class Source(NamedTuple):
    """A picture (H, W, 4), the last channel its mask (255 = may change), and how it is fitted."""

    pixels: Pixels
    resize_mode: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Map:
    """What a network is shown: (H, W, 3) of the pass's size, or (H, W, 4) with a mask where something is inpainted.
    picture: for people.
    """

    pixels: Pixels

    @property
    def picture(self) -> Image.Image:
        if self.pixels.shape[2] == 3:
            return Image.fromarray(self.pixels)
        masked = np.where(self.pixels[..., 3:] > 127, 0, self.pixels[..., :3])
        return Image.fromarray(masked.astype(np.uint8))


def shown(
    unit: Unit,
    way: Preprocessor,
    request: Generation,
    inputs: Inputs,
    *,
    size: tuple[int, int],
    first: tuple[int, int],
    seed: int,
) -> Map:
    """The map of a unit at size (width, height) of the pass; first: the size of the first pass, by which "pixel
    perfect" goes. Raises BadRequest where there is no picture.
    """
    given = source(unit, way, request, inputs)
    pixels = _cropped(unit, given, way, request, inputs)
    if unit.pixel_perfect:
        height, width = pixels.shape[:2]
        exact = preprocessors.exact_resolution((width, height), first, fills=given.resize_mode == FILL)
        unit = dataclasses.replace(unit, processor_res=exact)
    return Map(pixels=fitted(way(pixels, unit, seed=seed), size, given.resize_mode))


def opened(name: str | None, inputs: Inputs, field: str) -> Image.Image | None:
    """Raises NotFound for a picture that is gone."""
    return None if name is None else inputs.open(name, field=field)


def source(unit: Unit, way: Preprocessor, request: Generation, inputs: Inputs) -> Source:
    """The unit's own picture, or the one that the job starts from."""
    image = opened(unit.image, inputs, "image")
    if image is not None:
        mask = opened(unit.mask, inputs, "mask")
        pixels = joined(image, mask)
        drawn = pixels[..., 3]
        if not (way.masked or way.encodes) and mask is not None and drawn.max() > 5 and drawn.min() < 250:
            pixels = joined(Image.fromarray(drawn).convert("RGB"), None)  # what is painted is the picture: a scribble
        return Source(pixels, unit.resize_mode)
    if isinstance(request, Img2Img) and request.init_images:
        image = inputs.open(request.init_images[0], field="init_images")
        mask = _mask(request, inputs, image.size) if way.masked else None
        return Source(joined(image, mask), RESIZE[request.resize_mode % len(RESIZE)])
    raise BadRequest("ControlNet: a unit is on and has no image. Give it one or switch it off.", field="image")


def joined(image: Image.Image, mask: Image.Image | None) -> Pixels:
    """Raises BadRequest where the mask has another shape."""
    colours = np.asarray(image.convert("RGB"))
    if mask is None:
        return np.concatenate([colours, np.zeros_like(colours[..., :1])], axis=2)
    if mask.size != image.size:
        wrong = f"the mask is {mask.width}x{mask.height}, its picture {image.width}x{image.height}; both must be alike."
        raise BadRequest(f"ControlNet: {wrong}", field="mask")
    levels = np.asarray(masks.binary(mask))
    return np.concatenate([colours, levels[..., None]], axis=2)


def _mask(request: Img2Img, inputs: Inputs, size: tuple[int, int]) -> Image.Image | None:
    """The job's own mask as it is worked with."""
    if request.mask is None:
        return None
    mask = masks.binary(inputs.open(request.mask, field="mask"), rounded=request.mask_round)
    if request.inpainting_mask_invert:
        mask = masks.inverted(mask)
    return resize(masks.blurred(mask, request.mask_blur_x, request.mask_blur_y), size)


def _cropped(unit: Unit, source: Source, way: Preprocessor, request: Generation, inputs: Inputs) -> Pixels:
    """The part that inpainting "only masked" works on, where the job does and the unit follows it."""
    if not (unit.inpaint_crop_input_image and isinstance(request, Img2Img) and request.inpaint_full_res) or way.free:
        return source.pixels
    picture = inputs.open(request.init_images[0], field="init_images")
    mask = _mask(request, inputs, picture.size)
    box = None if mask is None else masks.region(mask, request.inpaint_full_res_padding)
    if mask is None or box is None:
        return source.pixels
    size = (request.width, request.height)
    place, mode = masks.expanded(box, size, mask.size), Mode(RESIZE.index(source.resize_mode))
    channels = [Image.fromarray(np.ascontiguousarray(source.pixels[..., each])) for each in range(4)]
    cut = [resize(resize(each, mask.size, mode).crop(place), size, Mode.FILL) for each in channels]
    return np.stack([np.asarray(each) for each in cut], axis=2)


def fitted(pixels: Pixels, size: tuple[int, int], resize_mode: str) -> Pixels:
    """A map at size (width, height). What "Resize and Fill" leaves free gets the median colour of the map's border, and
    counts as masked.
    """
    height, width = pixels.shape[:2]
    if resize_mode == STRETCH:
        return _sized(pixels, size)
    factors = (size[0] / width, size[1] / height)
    factor = min(factors) if resize_mode == FILL else max(factors)
    made = _sized(pixels, (max(1, round(width * factor)), max(1, round(height * factor))))
    height, width = made.shape[:2]
    if resize_mode == CROP:
        top, left = max(0, (height - size[1]) // 2), max(0, (width - size[0]) // 2)
        return made[top : top + size[1], left : left + size[0]]
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = np.median(border, axis=0).astype(np.uint8)
    if len(colour) == 4:
        colour[3] = 255
    whole = np.tile(colour, (size[1], size[0], 1))
    top, left = max(0, (size[1] - height) // 2), max(0, (size[0] - width) // 2)
    whole[top : top + height, left : left + width] = made
    return whole


def _sized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """A map of few colours keeps them, one of black and white stays so."""
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    colours = pixels[..., :3]
    count = len(np.unique(colours.reshape(-1, 3), axis=0)) if colours.size < 3 * 2**22 else 200
    made = maps.to_size(colours, size, nearest=2 < count < 200)
    if count == 2 and colours.min() < 16 and colours.max() > 240:
        made = np.where(made.mean(axis=2, keepdims=True) > _level(colours, size), 255, 0).astype(np.uint8).repeat(3, 2)
    if pixels.shape[2] == 3:
        return made
    mask = np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., 3])).resize(size, Image.Resampling.BILINEAR))
    return np.concatenate([made, np.where(mask > 127, 255, 0).astype(np.uint8)[..., None]], axis=2)


def _level(colours: Pixels, size: tuple[int, int]) -> int:
    """Above which a black and white map is white at another size: lines of one pixel must not go as it gets smaller."""
    smaller = size[0] * size[1] < colours.shape[0] * colours.shape[1]
    return 32 if smaller and colours.mean() < 64 else 127
