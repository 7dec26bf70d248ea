"""A job of the kind "script", from its row to its result. The composition root calls `run`.

The row: {"asked", "tab", "script", "args", "request", "options", "entropy"}; options are the settings without the
request's own; entropy is what everything random of the job comes from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from modules.core.types import JsonObject
from modules.generate import describe, run
from modules.generate.moments import PictureReady, Planned, Saved, Saving
from modules.generate.plan import Plan
from modules.generate.save import Album, Kept
from modules.generate.scripts.context import Change, Context, Request
from modules.generate.scripts.context import Finished as FinishedCells
from modules.generate.scripts.pictures import Keeper
from modules.generate.scripts.registry import Menus, Scripts, Tab
from modules.generate.studio import Control, Studio
from modules.imaging.inputs import Inputs
from modules.prompts.chunks import TextPolicy
from modules.settings.options import Snapshot

LOSSLESS = (".png",)
SILENT = {"randn_source": "GPU"}
"""Values of which A1111's texts say nothing, where they are not Easel's defaults."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workshop:
    """What running scripts needs beside the studio.

    read: a request of a tab from its JSON; upscale: (picture, scale, upscaler's name, options) -> picture; data, spool,
    record as for `generate.save.Album`, but record is given the model's name; guard: raises BadRequest for settings
    that nobody but the owner may give a cell.
    """

    scripts: Scripts
    menus: Menus
    cells: FinishedCells
    read: Callable[[Tab, Mapping[str, Any]], Request]
    inputs: Inputs
    upscale: Callable[[Image.Image, float, str, Snapshot], Image.Image]
    data: Path
    spool: Path
    record: Callable[[Kept, str], None]
    guard: Callable[[Mapping[str, Any]], None] = lambda settings: None


def run_job(
    studio: Studio, job: JsonObject, options: Snapshot, control: Control, shop: Workshop, *, job_id: str
) -> JsonObject:
    """Run the script of a job -> the job's result. Raises what the script's cells raise, NotFound, BadRequest."""
    tab: Tab = job["tab"]
    script = shop.scripts.find(job["script"], tab)
    values = script.read(tab, shop.menus, job["args"])
    context = Context(
        tab=tab,
        title=script.title,
        options=options,
        menus=shop.menus,
        make=CellMaker(studio=studio, shop=shop, base=options),
        keep=Keeper(
            tab=tab, options=options, data=shop.data, spool=shop.spool, moments=studio.moments, record=shop.record
        ),
        finished=shop.cells,
        inputs=shop.inputs,
        upscale=lambda image, scale, name: shop.upscale(image, scale, name, options),
        job_id=job_id,
        control=control,
        entropy=job["entropy"],
    )
    result = script.run(context, shop.read(tab, job["request"]), values)
    return {"pictures": list(result.pictures), "info": result.info, "comments": context.notes}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CellMaker:
    """Makes cells with the engine; see `context.Maker`. What a cell changes is heard by this cell alone."""

    studio: Studio
    shop: Workshop
    base: Snapshot

    def __call__(
        self, request: Request, options: Snapshot, control: Control, change: Change, *, number: int
    ) -> JsonObject:
        self.shop.guard(request.override_settings)
        ended: list[Plan] = []
        copies = _Copies(self.shop.spool / "cells", number)
        moments = dataclasses.replace(
            self.studio.moments,
            planned=self.studio.moments.planned.followed(lambda event: _with_facts(event, change.facts)),
            saving=self.studio.moments.saving.followed(copies.saving),
            saved=self.studio.moments.saved.followed(copies.saved),
            finished=self.studio.moments.finished.followed(lambda event: ended.append(event.plan)),
        )
        if change.begin is not None:
            moments = dataclasses.replace(moments, sampling=moments.sampling.followed(change.begin))
        if change.finish is not None:
            finish = change.finish
            moments = dataclasses.replace(
                moments, picture_ready=moments.picture_ready.followed(lambda event: _finished(event, finish))
            )
        album = Album(
            data=self.shop.data,
            spool=self.shop.spool,
            moments=moments,
            record=lambda plan, kept: self.shop.record(kept, plan.checkpoint.name),
            clock=self.studio.clock,
        )
        folder = self.studio.unfinished
        studio = dataclasses.replace(self.studio, moments=moments, unfinished=folder and folder / str(number))
        result = run.make(studio, request, options, control, album)
        pictures = [copies.told(picture) for picture in result["pictures"]]
        titles = {name: self._title(ended[-1], result, facts) for name, facts in change.titles.items()}
        return {**result, "pictures": pictures, "titles": titles}

    def _title(self, work: Plan, result: JsonObject, facts: Mapping[str, Any]) -> str:
        """The infotext of the first picture with these facts. Settings of the cell alone are not told in it: A1111 has
        put them back when it writes this text.
        """
        own = work.request.override_settings
        options = self.base.without(own).overlay({key: value for key, value in SILENT.items() if key in own})
        plain = dataclasses.replace(work, options=options, text=TextPolicy.of(options))
        return describe.text_of(plain, 0, {**result["info"]["extra_generation_params"], **facts})


def _with_facts(event: Planned, facts: Mapping[str, Any]) -> None:
    event.plan = dataclasses.replace(event.plan, opening={**facts, **event.plan.opening})


def _finished(event: PictureReady, finish: Callable[[Image.Image], Image.Image]) -> None:
    event.image = finish(event.image)


class _Copies:
    """Pictures whose files lose something are kept a second time without loss, for the cells and grids made of them."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        self._image: Image.Image | None = None
        self._copies: dict[str, str] = {}

    def saving(self, event: Saving) -> None:
        self._image = event.image

    def saved(self, event: Saved) -> None:
        if self._image is not None and event.path.suffix not in LOSSLESS:
            self._folder.mkdir(parents=True, exist_ok=True)
            copy = self._folder / f"{self._number}-{len(self._copies)}.png"
            self._image.save(copy)
            self._copies[str(event.path)] = str(copy)

    def told(self, picture: JsonObject) -> JsonObject:
        copy = self._copies.get(picture["path"])
        return picture if copy is None else {**picture, "lossless": copy}
