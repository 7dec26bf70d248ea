"""SD upscale: a picture is enlarged by an upscaler, cut into tiles, each of which img2img works over, and joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from PIL import Image

from modules.core.errors import BadRequest
from modules.generate.request import Img2Img
from modules.generate.scripts.context import Change, Context, Made, Request, Result, needs_img2img
from modules.generate.scripts.registry import Argument, Menus, Script, Tab
from modules.imaging.tiles import Tiling, tiling

MOST_SCALE = 16.0


def script() -> Script:
    return Script(title="SD upscale", run=run, arguments=arguments, tabs=("img2img",), check=check)


NOTE = (
    '<p style="margin-bottom:0.75em">Will upscale the image by the selected scale factor; use width and height sliders'
    " to set tile size</p>"
)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    names = tuple(menus.upscalers())
    return [
        Argument(name="note", label="", kind="note", default=NOTE),
        Argument(name="overlap", label="Tile overlap", kind="int", default=64, minimum=0, maximum=256, step=16),
        Argument(name="upscaler", label="Upscaler", kind="choice", default="None", choices=names),
        Argument(name="scale", label="Scale Factor", kind="float", default=2.0, minimum=1.0, maximum=4.0, step=0.05),
    ]


def check(tab: Tab, menus: Menus, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if not 0 < given["scale"] <= MOST_SCALE:
        message = f"script_args: the scale factor must be above 0 and at most {MOST_SCALE:g}, not {given['scale']:g}."
        raise BadRequest(message, field="script_args")
    size = (given["request"]["width"], given["request"]["height"])
    tiling(size, tile=size, overlap=given["overlap"])


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """The enlarged picture, `n_iter` times with different seeds."""
    asked = needs_img2img(context.seeded(request))
    picture = context.picture(asked)
    if given["upscaler"] != "None":
        picture = context.upscale(picture, given["scale"], given["upscaler"])
    cut = tiling(picture.size, tile=(asked.width, asked.height), overlap=given["overlap"])
    tiles = tuple(context.inputs.add_image(tile) for tile in cut.cut(picture))
    cell = dataclasses.replace(asked, n_iter=1, do_not_save_grid=True, do_not_save_samples=True)
    facts = {"SD upscale overlap": given["overlap"], "SD upscale upscaler": given["upscaler"]}
    context.expect(asked.n_iter * -(-len(tiles) // asked.batch_size), batches=1)
    pictures, every = [], []
    for number in range(asked.n_iter):
        made = _worked(context, dataclasses.replace(cell, seed=asked.seed + number), tiles, Change(facts=facts))
        every += made
        text = every[0].infotexts[0]
        pictures.append(context.keep(_joined(cut, made), text, made=made[0], request=request, kind="sample"))
        if context.interrupted:
            break
    told = {"seed": asked.seed, "subseed": -1, "infotexts": [every[0].infotexts[0]] * len(pictures)}
    return Result(pictures=pictures, info={**every[-1].info, **told, "index_of_first_image": 0})


def _worked(context: Context, cell: Img2Img, tiles: tuple[str, ...], change: Change) -> list[Made]:
    """Every tile worked over, in batches; each begins one seed after the one before."""
    made: list[Made] = []
    size, seed = cell.batch_size, cell.seed
    for start in range(0, len(tiles), size):
        if context.interrupted and made:
            break
        part = tiles[start : start + size]
        batch = dataclasses.replace(cell, init_images=part, batch_size=len(part), seed=seed)
        text = f"Batch {start // size + 1} out of {-(-len(tiles) // size)}"
        made.append(context.make(batch, change, text=text))
        seed = made[-1].seed + 1
    return made


def _joined(cut: Tiling, made: list[Made]) -> Image.Image:
    """The picture of all tiles; those that an interruption left out are black."""
    images = [image for one in made for image in one.images()]
    images += [Image.new("RGB", cut.tile)] * (len(cut) - len(images))
    return cut.join(images)
