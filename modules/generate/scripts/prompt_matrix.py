"""Prompt matrix: "a cat|red|big" makes a picture for every choice of the parts after the first, and a grid of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from PIL import Image

from modules.core.errors import BadRequest
from modules.core.types import JsonObject
from modules.generate.scripts.context import Context, Made, Request, Result
from modules.generate.scripts.registry import Argument, Menus, Script, Tab
from modules.imaging import grids
from modules.imaging.annotations import Look, annotate_matrix
from modules.imaging.policy import SavePolicy

MOST_PARTS = 12
"""Parts that vary: each doubles the number of pictures."""


def script() -> Script:
    return Script(title="Prompt matrix", run=run, arguments=arguments, check=check)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    kinds, joints = ("positive", "negative"), ("comma", "space")
    return [
        Argument(name="at_start", label="Put variable parts at start of prompt", kind="bool", default=False),
        Argument(name="vary_seeds", label="Use different seed for each picture", kind="bool", default=False),
        Argument(name="prompt", label="Select prompt", kind="choice", default="positive", choices=kinds),
        Argument(name="joint", label="Select joining char", kind="choice", default="comma", choices=joints),
        Argument(name="margin", label="Grid margins (px)", kind="int", default=0, minimum=0, maximum=500, step=2),
    ]


def check(tab: Tab, menus: Menus, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    text = given["request"]["prompt" if given["prompt"] == "positive" else "negative_prompt"]
    parts(text)


def parts(text: str) -> list[str]:
    """The parts between the bars, the first one fixed. Raises BadRequest for more than can be drawn."""
    found = text.split("|")
    if len(found) - 1 > MOST_PARTS:
        raise BadRequest(f"prompt: {len(found) - 1} parts would vary; at most {MOST_PARTS} can.", field="prompt")
    return found


def combinations(text: str, *, at_start: bool, joint: str) -> list[str]:
    """Every choice of the variable parts, as bits count: the first of them changes fastest."""
    first, *rest = parts(text)
    words = [part.strip().strip(",") for part in rest]
    chosen = ([word for bit, word in enumerate(words) if number >> bit & 1] for number in range(1 << len(words)))
    return [joint.join([*some, first] if at_start else [first, *some]) for some in chosen]


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """[the grid, every picture]."""
    asked, request = request, dataclasses.replace(context.seeded(request), do_not_save_grid=True)
    field = "prompt" if given["prompt"] == "positive" else "negative_prompt"
    text = getattr(request, field)
    joint = ", " if given["joint"] == "comma" else " "
    prompts = combinations(text, at_start=given["at_start"], joint=joint)
    context.expect(len(prompts), batches=1)
    made: list[Made] = []
    for index, prompt in enumerate(prompts):
        if context.interrupted and made:
            break
        seed = request.seed + (index if given["vary_seeds"] else 0)
        place: dict[str, Any] = {field: prompt, "seed": seed, "subseed": request.subseed + index}
        cell = dataclasses.replace(request, n_iter=1, batch_size=1, **place)
        made.append(context.make(cell, text=f"{index + 1} out of {len(prompts)}"))
    pictures = [picture for one in made for picture in one.pictures]
    entries: list[JsonObject] = []
    if _fits(context, pictures):
        grid = _grid(context, made, words=parts(text)[1:], margin=given["margin"])
        entries = [context.keep(grid, made[0].infotexts[0], made=made[0], request=asked, basename="prompt_matrix")]
    return Result(pictures=[*entries, *pictures], info=_info(request, made, [*entries, *pictures], len(entries)))


def _fits(context: Context, pictures: list[JsonObject]) -> bool:
    """The option img_max_size_mp: too large a grid is left out."""
    megapixels = sum(picture["width"] * picture["height"] for picture in pictures) / 1_000_000
    return bool(0 < megapixels < context.options["img_max_size_mp"])


def _grid(context: Context, made: list[Made], *, words: list[str], margin: int) -> Image.Image:
    images = [image for one in made for image in one.images()]
    width, height = max(image.width for image in images), max(image.height for image in images)
    images += [Image.new("RGB", (width, height))] * ((1 << len(words)) - len(images))  # where the work was interrupted
    policy = SavePolicy.of(context.options, kind="grid", tab=context.tab)
    grid = grids.grid(images, rows=1 << (len(words) // 2), policy=policy)
    look = Look.of(context.options)
    return annotate_matrix(grid, cell=(width, height), words=words, margin=margin, look=look)


def _info(request: Request, made: list[Made], pictures: list[JsonObject], first: int) -> JsonObject:
    """The first cell's info, with the prompts and seeds of all."""
    lists = ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds")
    joined = {name: [value for one in made for value in one.info[name]] for name in lists}
    infotexts = [picture["infotext"] for picture in pictures]
    told = {"batch_size": request.batch_size, "index_of_first_image": first, "infotexts": infotexts}
    return {**made[0].info, **joined, **told}
