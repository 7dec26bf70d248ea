"""Outpainting mk2: a picture grows on one side after the other, from noise with its own spectrum and colours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw

from modules.generate.request import Img2Img
from modules.generate.scripts import info
from modules.generate.scripts.borders import SIDES, STEP, Borders, refuse
from modules.generate.scripts.context import Context, Made, Request, Result, needs_img2img
from modules.generate.scripts.registry import Argument, Menus, Script, Tab
from modules.imaging import grids
from modules.imaging.matched_noise import extended
from modules.imaging.policy import SavePolicy

NOTE = (
    '<p style="margin-bottom:0.75em">Recommended settings: Sampling Steps: 80-100, Sampler: Euler a,'
    " Denoising strength: 0.8</p>"
)

Side = Literal["left", "right", "up", "down"]


def script() -> Script:
    return Script(title="Outpainting mk2", run=run, arguments=arguments, tabs=("img2img",), check=check)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    falloff = "Fall-off exponent (lower=higher detail)"
    return [
        Argument(name="note", label="", kind="note", default=NOTE),
        Argument(name="pixels", label="Pixels to expand", kind="int", default=128, minimum=8, maximum=256, step=8),
        Argument(name="blur", label="Mask blur", kind="int", default=8, minimum=0, maximum=64, step=1),
        Argument(name="sides", label="Outpainting direction", kind="choices", default=SIDES, choices=SIDES),
        Argument(name="exponent", label=falloff, kind="float", default=1.0, minimum=0.0, maximum=4.0, step=0.01),
        Argument(
            name="colour", label="Color variation", kind="float", default=0.05, minimum=0.0, maximum=1.0, step=0.01
        ),
    ]


def check(tab: Tab, menus: Menus, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    refuse(given["pixels"], given["blur"], given["sides"])


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """[a grid of them, every picture]: batch_size pictures, n_iter times."""
    asked = needs_img2img(request)
    picture = context.picture(asked)
    borders = Borders.around(picture.size, pixels=given["pixels"], sides=given["sides"])
    growing = _Growing(context, asked, given, borders)
    context.expect(asked.n_iter * len(growing.sides), batches=1)
    pictures: list[Image.Image] = []
    for _ in range(asked.n_iter):
        if context.interrupted and pictures:
            break
        images = [picture] * asked.batch_size
        for side, pixels in growing.sides:
            images = growing.grown(images, side, pixels)
        pictures += images
    return _told(context, request, growing.made, pictures)


class _Growing:
    """The work of growing; made: every cell so far."""

    def __init__(self, context: Context, request: Img2Img, given: Mapping[str, Any], borders: Borders) -> None:
        self.context = context
        self.request = request
        self.given = given
        self.sides: list[tuple[Side, int]] = [
            (side, pixels) for side in ("left", "right", "up", "down") if (pixels := getattr(borders, side))
        ]
        names = {side for side, _ in self.sides}
        self.blur = (given["blur"] if names & {"left", "right"} else 0, given["blur"] if names & {"up", "down"} else 0)
        self.made: list[Made] = []

    def grown(self, images: list[Image.Image], side: Side, pixels: int) -> list[Image.Image]:
        """The pictures (all of one size) with `pixels` more on one side."""
        place = _Place.of(images[0].size, side, pixels, tile=(self.request.width, self.request.height))
        wholes = [self._noised(image, place) for image in images]
        cell = dataclasses.replace(
            self.request,
            width=place.worked[0],
            height=place.worked[1],
            n_iter=1,
            batch_size=len(images),
            do_not_save_samples=True,
            do_not_save_grid=True,
            init_images=tuple(self.context.inputs.add_image(whole.crop(place.crop)) for whole in wholes),
            mask=self.context.inputs.add_image(place.mask(place.canvas, self.blur).crop(place.crop)),
            latent_mask=self.context.inputs.add_image(place.latent_mask(self.blur)),
            mask_blur_x=self.blur[0] * 4,
            mask_blur_y=self.blur[1] * 4,
            inpaint_full_res=False,
            inpainting_fill=1,
        )
        made = self.context.make(cell, text=f"Growing {side}")
        self.made.append(made)
        for whole, image in zip(wholes, made.images(), strict=False):
            left = 0 if side == "left" else whole.width - image.width
            top = 0 if side == "up" else whole.height - image.height
            whole.paste(image, (left, top))
        return [whole.crop((0, 0, *place.size)) for whole in wholes]

    def _noised(self, image: Image.Image, place: _Place) -> Image.Image:
        """The picture in its larger canvas, with noise where nothing is yet."""
        canvas = Image.new("RGB", place.canvas)
        canvas.paste(image, place.at)
        mask = np.asarray(place.mask(place.canvas, self.blur).convert("L")) / 255
        exponent, colour = self.given["exponent"], self.given["colour"]
        mixed = extended(np.asarray(canvas) / 255, mask, exponent=exponent, colour=colour)
        return Image.fromarray(np.clip(mixed * 255, 0, 255).astype(np.uint8), "RGB")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """Where things lie when a picture grows on one side. size: of the grown picture; canvas: the same in steps of 64;
    at: where the old picture lies; worked: the size that img2img works at; crop: which part of the canvas that is.
    """

    side: Side
    pixels: int
    size: tuple[int, int]
    canvas: tuple[int, int]
    at: tuple[int, int]
    worked: tuple[int, int]
    crop: tuple[int, int, int, int]

    @classmethod
    def of(cls, old: tuple[int, int], side: Side, pixels: int, *, tile: tuple[int, int]) -> _Place:
        wide, high = (pixels, 0) if side in ("left", "right") else (0, pixels)
        size = (old[0] + wide, old[1] + high)
        canvas = (math.ceil(size[0] / STEP) * STEP, math.ceil(size[1] / STEP) * STEP)
        worked = (min(tile[0], size[0]) if wide else canvas[0], min(tile[1], size[1]) if high else canvas[1])
        left = 0 if side == "left" else canvas[0] - worked[0]
        top = 0 if side == "up" else canvas[1] - worked[1]
        right = worked[0] if side == "left" else canvas[0]
        bottom = worked[1] if side == "up" else canvas[1]
        at = (pixels if side == "left" else 0, pixels if side == "up" else 0)
        crop = (left, top, right, bottom)
        return cls(side=side, pixels=pixels, size=size, canvas=canvas, at=at, worked=worked, crop=crop)

    def mask(self, size: tuple[int, int], blur: tuple[int, int], *, edge: tuple[int, int] | None = None) -> Image.Image:
        """White what is new, and `blur` pixels of the old beside it; edge: the size that far sides are counted from."""
        width, height = edge or size
        mask = Image.new("RGB", size, "white")
        known = (
            self.pixels + blur[0] if self.side == "left" else 0,
            self.pixels + blur[1] if self.side == "up" else 0,
            width - self.pixels - blur[0] if self.side == "right" else self.size[0],
            height - self.pixels - blur[1] if self.side == "down" else self.size[1],
        )
        if known[2] >= known[0] and known[3] >= known[1]:
            ImageDraw.Draw(mask).rectangle(known, fill="black")
        return mask

    def latent_mask(self, blur: tuple[int, int]) -> Image.Image:
        """For the latents: a wider seam, in the part that is worked on."""
        return self.mask(self.worked, (blur[0] * 2, blur[1] * 2))


def _told(context: Context, request: Request, made: list[Made], pictures: list[Image.Image]) -> Result:
    """A1111's answer: the first seed and text, everything else of the last cell."""
    if not made:
        return Result(pictures=[], info=info.bare(context, request))
    text, first = made[0].infotexts[0], made[0]
    entries = [context.keep(image, text, made=first, request=request, kind="sample") for image in pictures]
    few = len(pictures) < 2 and context.options["grid_only_if_multiple"]
    if not few:
        grid = grids.grid(pictures, policy=SavePolicy.of(context.options, kind="grid", tab=context.tab))
        entry = context.keep(grid, text, made=first, request=request)
        entries = [entry, *entries] if context.options["return_grid"] else entries
    told = {"seed": first.seed, "subseed": -1, "infotexts": [text] * len(entries), "index_of_first_image": 0}
    return Result(pictures=entries, info={**made[-1].info, **told})
