"""Loopback: each picture is the next one's beginning, with a denoising strength that changes on the way."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from modules.core.errors import BadRequest
from modules.core.types import JsonObject
from modules.generate.request import Img2Img
from modules.generate.scripts import info
from modules.generate.scripts.context import Change, Context, Made, Request, Result, needs_img2img
from modules.generate.scripts.registry import Argument, Menus, Script, Tab
from modules.imaging import colour, grids
from modules.imaging.policy import SavePolicy

CURVES: Mapping[str, Callable[[float], float]] = {
    "Aggressive": lambda progress: math.sin(progress * math.pi / 2),
    "Linear": lambda progress: progress,
    "Lazy": lambda progress: 1 - math.cos(progress * math.pi / 2),
}
"""How much of the way from the first strength to the last is gone after `progress` (0..1) of the loops."""

MOST = 1000
"""Loops."""

DESCRIBERS: Mapping[str, str] = {"CLIP": "clip", "DeepBooru": "deepdanbooru"}
"""What the menu calls them -> their names everywhere else."""


def script() -> Script:
    return Script(title="Loopback", run=run, arguments=arguments, tabs=("img2img",), check=check)


def arguments(tab: Tab, menus: Menus) -> list[Argument]:
    curves, words = tuple(CURVES), ("None", *DESCRIBERS)
    final, words_label = "Final denoising strength", "Append interrogated prompt at each iteration"
    return [
        Argument(name="loops", label="Loops", kind="int", default=4, minimum=1, maximum=32, step=1),
        Argument(name="final", label=final, kind="float", default=0.5, minimum=0, maximum=1, step=0.01),
        Argument(name="curve", label="Denoising strength curve", kind="choice", default="Linear", choices=curves),
        Argument(name="words", label=words_label, kind="choice", default="None", choices=words),
    ]


def check(tab: Tab, menus: Menus, options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if not 1 <= given["loops"] <= MOST:
        raise BadRequest(f"script_args: Loops must be 1 to {MOST}, not {given['loops']}.", field="script_args")
    if not 0 <= given["final"] <= 1:
        raise BadRequest("script_args: the final denoising strength must be 0 to 1.", field="script_args")
    if given["words"] in DESCRIBERS:
        try:
            menus.check_describer(DESCRIBERS[given["words"]])
        except BadRequest as error:
            raise BadRequest(f"script_args: {error}", field="script_args") from error


def strength(loop: int, *, loops: int, first: float, final: float, curve: str) -> float:
    """The denoising strength of loop 0..loops - 1: `first` in the first one, `final` in the last one."""
    if loops == 1:
        return first
    return first + (final - first) * CURVES[curve](loop / (loops - 1))


def run(context: Context, request: Request, given: Mapping[str, Any]) -> Result:
    """[a row of them all, every picture]; of several batches, the last picture of each."""
    asked = needs_img2img(context.seeded(request))
    work = _Loops(context, asked, given)
    kept = work.run_all()
    if work.last is None:
        return Result(pictures=[], info=info.bare(context, asked))
    entries = _row(context, request, kept, work.first or work.last)
    pictures = [*entries, *(made.pictures[0] for made in kept)]
    return Result(pictures=pictures, info=work.info(len(pictures)))


class _Loops:
    """The work. first, last: the first and the newest cell; strength: what the next one would have."""

    def __init__(self, context: Context, request: Img2Img, given: Mapping[str, Any]) -> None:
        self.context = context
        self.request = request
        self.loops: int = given["loops"]
        self.describer = DESCRIBERS.get(given["words"])
        facts = {"Final denoising strength": given["final"], "Denoising curve": given["curve"]}
        self.change = _coloured(context, request, Change(facts=facts))
        self.at = functools.partial(
            strength,
            loops=self.loops,
            first=request.denoising_strength or 0.0,
            final=given["final"],
            curve=given["curve"],
        )
        self.first: Made | None = None
        self.last: Made | None = None
        self.seed = request.seed
        self.strength = self.at(0)

    def run_all(self) -> list[Made]:
        """The cells to show."""
        batches, shown = self.request.n_iter, []
        self.context.expect(self.loops * batches, batches=1)
        for batch in range(batches):
            made = self._batch(batch)
            if batches == 1:
                shown = made
            elif made and not (self.context.interrupted or self.context.skipped):
                shown.append(made[-1])
            if self.context.interrupted:
                break
        return shown

    def _batch(self, batch: int) -> list[Made]:
        """The loops of one batch, from the picture that was given; what an interruption leaves is not shown."""
        made: list[Made] = []
        self.strength, pictures, fill = self.at(0), self.request.init_images, self.request.inpainting_fill
        for loop in range(self.loops):
            text = f"Iteration {loop + 1}/{self.loops}, batch {batch + 1}/{self.request.n_iter}"
            cell = self._cell(pictures, fill)
            newest = self.context.make(cell, self.change, text=text)
            if self.context.interrupted:
                break
            self.first, self.last = self.first or newest, newest
            self.seed, self.strength = newest.seed + 1, self.at(loop + 1)
            if self.context.skipped:
                break
            made.append(newest)
            pictures, fill = (self.context.inputs.add_image(newest.image()),), 1
        return made

    def _prompt(self, picture: str) -> str:
        """The request's, with what the picture shows behind it, if that is wanted."""
        own = self.request.prompt
        if self.describer is None:
            return own
        image = self.context.inputs.open(picture, field="init_images")
        said = self.context.menus.describe(image, self.describer, self.context.options)
        return f"{own}, {said}" if own else said

    def _cell(self, pictures: tuple[str, ...], fill: int) -> Img2Img:
        return dataclasses.replace(
            self.request,
            prompt=self._prompt(pictures[0]),
            n_iter=1,
            batch_size=1,
            do_not_save_grid=True,
            seed=self.seed,
            denoising_strength=self.strength,
            init_images=pictures,
            inpainting_fill=fill,
        )

    def info(self, count: int) -> JsonObject:
        """A1111's: the first seed and text, everything else of the last cell."""
        assert self.first is not None
        assert self.last is not None
        told = {"seed": self.first.seed, "subseed": -1, "denoising_strength": self.strength, "index_of_first_image": 0}
        return {**self.last.info, **told, "infotexts": [self.first.infotexts[0]] * count}


def _coloured(context: Context, request: Img2Img, change: Change) -> Change:
    """With the setting `img2img_color_correction` all pictures get the colours of the one that was given."""
    options = context.options.overlay(request.override_settings)
    if not options["img2img_color_correction"] or not request.init_images:
        return change
    target = context.picture(request)

    def finish(image: Image.Image) -> Image.Image:
        return colour.corrected(image, target)

    return dataclasses.replace(change, settings={"img2img_color_correction": False}, finish=finish)


def _row(context: Context, request: Request, kept: list[Made], first: Made) -> list[JsonObject]:
    """The grid of all, where the options want one."""
    if len(kept) < 2:
        return []
    policy = SavePolicy.of(context.options, kind="grid", tab=context.tab)
    grid = grids.grid([made.image() for made in kept], rows=1, policy=policy)
    entry = context.keep(grid, first.infotexts[0], made=first, request=request)
    return [entry] if context.options["return_grid"] else []
