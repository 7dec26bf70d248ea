"""Parts of pictures over one another: transparency onto a colour, the untouched rest of an inpainted picture."""

from __future__ import annotations

import dataclasses

from PIL import Image, ImageColor

from modules.core.errors import BadRequest
from modules.imaging import masks
from modules.imaging.masks import Box
from modules.imaging.resize import Mode, Upscale, resize


def flattened(image: Image.Image, colour: str, *, field: str = "img2img_background_color") -> Image.Image:
    """The picture, any mode, as RGB; what is transparent shows `colour`. Raises BadRequest for what is no colour."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    try:
        background = Image.new("RGBA", image.size, ImageColor.getcolor(colour, "RGBA"))
    except ValueError as error:
        raise BadRequest(f'{field}: "{colour}" is no colour; write it as #rrggbb.', field=field) from error
    opaque = image.convert("RGBA")
    background.paste(opaque, mask=opaque)
    return background.convert("RGB")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overlay:
    """What lies over a finished picture. image: RGBA, transparent where the picture shows; place: the box that the
    picture fills, None = all of it; mask: mode L, what was inpainted, of the whole picture's size; upscale: where the
    picture has to grow for its place (see `resize`).
    """

    image: Image.Image
    mask: Image.Image
    place: Box | None = None
    upscale: Upscale | None = None

    def laid_over(self, picture: Image.Image) -> Image.Image:
        """An RGB picture of the overlay's size."""
        under = self.spread(picture).convert("RGBA")
        under.alpha_composite(self.image)
        return under.convert("RGB")

    def spread(self, picture: Image.Image) -> Image.Image:
        """The picture alone, at its place; around it nothing."""
        if self.place is None:
            return picture
        left, top, right, bottom = self.place
        canvas = Image.new("RGBA", self.image.size)
        size = (right - left, bottom - top)
        canvas.paste(resize(picture, size, Mode.CROP, upscale=self.upscale), (left, top))
        return canvas

    def cut_out(self, picture: Image.Image) -> Image.Image:
        """RGBA: the inpainted part alone (A1111's "masked composite")."""
        spread = self.spread(picture).convert("RGBA").convert("RGBa")
        mask = resize(self.mask, spread.size, Mode.FILL)
        return Image.composite(spread, Image.new("RGBa", spread.size), mask).convert("RGBA")


def around(
    image: Image.Image, mask: Image.Image, place: Box | None = None, *, upscale: Upscale | None = None
) -> Overlay:
    """The overlay that keeps an RGB picture where the mask (L, same size) is black."""
    kept = Image.new("RGBa", image.size)
    kept.paste(image.convert("RGBA").convert("RGBa"), mask=masks.inverted(mask))
    return Overlay(image=kept.convert("RGBA"), mask=mask, place=place, upscale=upscale)
