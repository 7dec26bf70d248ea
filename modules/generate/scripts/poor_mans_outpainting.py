"""Poor man's outpainting: a larger canvas with the picture in it, inpainted tile by tile where it is new."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw

from modules.generate.scripts.borders import SIDES, Borders, refuse
from modules.generate.scripts.context import Context, Made, Request, Result, needs_img2img
from modules.generate.scripts.registry import Argument, Menus, Script, Tab
from modules.imaging.tiles import tiling

FILLS = ("fill", "original", "latent noise", "latent nothing")


def script() -> Script:
    return Script(title="Poor man's outpainting", run=run, arguments=arguments, tabs=("img2img",), check=check)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    return [
        Argument(name="pixels", label="Pixels to expand", kind="int", default=128, minimum=8, maximum=256, step=8),
        Argument(name="blur", label="Mask blur", kind="int", default=4, minimum=0, maximum=64, step=1),
        Argument(name="fill", label="Masked content", kind="index", default="fill", choices=FILLS),
        Argument(name="sides", label="Outpainting direction", kind="choices", default=SIDES, choices=SIDES),
    ]


def check(tab: Tab, menus: Menus, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    refuse(given["pixels"], given["blur"], given["sides"])
    size = (given["request"]["width"], given["request"]["height"])
    tiling(size, tile=size, overlap=given["pixels"])


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """The extended picture."""
    asked = needs_img2img(context.seeded(request))
    picture = context.picture(asked)
    borders = Borders.around(picture.size, pixels=given["pixels"], sides=given["sides"])
    canvas = _canvas(picture, borders)
    cut = tiling(canvas.size, tile=(asked.width, asked.height), overlap=given["pixels"])
    images = cut.cut(canvas)
    masks = cut.cut(_mask(canvas.size, borders, seam=given["blur"] * 2))
    latent_masks = cut.cut(_mask(canvas.size, borders, seam=given["blur"] // 2))
    new = [number for number, box in enumerate(cut.boxes()) if not _inside(box, canvas.size, borders)]
    cell = dataclasses.replace(
        asked,
        n_iter=1,
        batch_size=1,
        do_not_save_grid=True,
        do_not_save_samples=True,
        mask_blur_x=given["blur"] * 2,
        mask_blur_y=given["blur"] * 2,
        inpainting_fill=given["fill"],
        inpaint_full_res=False,
    )
    context.expect(len(new), batches=1)
    made: list[Made] = []
    for count, number in enumerate(new, 1):
        if context.interrupted and made:
            images[number] = Image.new("RGB", cut.tile)
            continue
        tile = dataclasses.replace(
            cell,
            seed=made[-1].seed + 1 if made else cell.seed,
            init_images=(context.inputs.add_image(images[number]),),
            mask=context.inputs.add_image(masks[number]),
            latent_mask=context.inputs.add_image(latent_masks[number]),
        )
        made.append(context.make(tile, text=f"Batch {count} out of {len(new)}"))
        images[number] = made[-1].image()
    text = made[0].infotexts[0]
    entry = context.keep(cut.join(images), text, made=made[0], request=request, kind="sample")
    told = {"seed": made[0].seed, "subseed": -1, "infotexts": [text], "index_of_first_image": 0}
    return Result(pictures=[entry], info={**made[-1].info, **told})


def _canvas(picture: Image.Image, borders: Borders) -> Image.Image:
    size = (picture.width + borders.left + borders.right, picture.height + borders.up + borders.down)
    canvas = Image.new("RGB", size)
    canvas.paste(picture, (borders.left, borders.up))
    return canvas


def _mask(size: tuple[int, int], borders: Borders, *, seam: int) -> Image.Image:
    """White what is new and `seam` pixels of the old beside it."""
    mask = Image.new("L", size, "white")
    old = (
        borders.left + (seam if borders.left else 0),
        borders.up + (seam if borders.up else 0),
        size[0] - borders.right - (seam if borders.right else 0),
        size[1] - borders.down - (seam if borders.down else 0),
    )
    if old[2] >= old[0] and old[3] >= old[1]:
        ImageDraw.Draw(mask).rectangle(old, fill="black")
    return mask


def _inside(box: tuple[int, int, int, int], size: tuple[int, int], borders: Borders) -> bool:
    """Whether a tile has nothing new in it."""
    left, top, right, bottom = box
    across = left >= borders.left and right <= size[0] - borders.right
    return across and top >= borders.up and bottom <= size[1] - borders.down
