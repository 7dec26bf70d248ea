"""A context over real cells in SQLite and real files, with a painter in place of the engine.

Its pictures are of one colour, given by prompt, seed and settings; equal requests give equal pictures.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from modules.core.errors import EaselError
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate.request import Generation, Txt2Img
from modules.generate.scripts.context import Change, Context, Made
from modules.generate.scripts.registry import Menus
from modules.imaging.inputs import Inputs
from modules.imaging.policy import Kind
from modules.jobs.cells import Cells
from modules.settings.builtin import registry
from modules.settings.options import Snapshot
from tests.studio import Silent

OPTIONS = Snapshot(registry(samplers=["Euler", "Euler a", "DDIM"]))


class Killed(BaseException):
    """The process dies here."""


def menus() -> Menus:
    def find(name: str) -> str:
        if name not in ("one", "two"):
            raise EaselError(f"no checkpoint {name}")
        return name

    return Menus(
        samplers=lambda: ["Euler", "Euler a", "DDIM"],
        schedulers=lambda: ["Automatic", "Karras"],
        checkpoints=lambda: ["one", "two"],
        find_checkpoint=find,
        styles=lambda: ["fine"],
        vaes=lambda: ["soft.pt"],
    )


class Painter:
    """A `Maker`. asked: every request; kill_at, refuse: the count (from 0) of the cell at which the process dies, and
    the prompt that cannot be made; before: called before each cell.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[Generation] = []
        self.changes: list[Change] = []
        self.kill_at: int | None = None
        self.refuse: str | None = None
        self.before: Callable[[int], None] = lambda count: None

    def __call__(
        self, request: Generation, options: Snapshot, control: Any, change: Change, *, number: int
    ) -> JsonObject:
        self.before(len(self.asked))
        if self.kill_at == len(self.asked):
            raise Killed
        if request.prompt == self.refuse:
            raise EaselError(f"{request.prompt} cannot be made.")
        self.asked.append(request)
        self.changes.append(change)
        control.begin(batches=request.n_iter, steps=request.steps)
        count = request.n_iter * request.batch_size
        pictures = [self._picture(request, options, index) for index in range(count)]
        for batch in range(request.n_iter):
            control.batch(batch)
            for step in range(request.steps):
                control.step(step + 1)
        texts = [picture["infotext"] for picture in pictures]
        titles = {name: json.dumps(facts) for name, facts in change.titles.items()}
        return {"pictures": pictures, "info": self._info(request, texts), "comments": [], "titles": titles}

    def _picture(self, request: Generation, options: Snapshot, index: int) -> JsonObject:
        clip = options["CLIP_stop_at_last_layers"]
        text = f"{request.prompt}, seed {request.seed + index}, steps {request.steps}, clip {clip}"
        colour = tuple(hashlib.sha256(text.encode()).digest()[:3])
        path = self.folder / f"{len(self.asked)}-{index}.png"
        size = (request.width, request.height)
        Image.new("RGB", size, colour).save(path)
        facts = {"infotext": text, "saved": False, "kind": "sample", "seed": request.seed + index}
        return {"path": str(path), **facts, "width": size[0], "height": size[1]}

    def _info(self, request: Generation, texts: list[str]) -> JsonObject:
        count = len(texts)
        return {
            "prompt": request.prompt,
            "all_prompts": [request.prompt] * count,
            "negative_prompt": request.negative_prompt,
            "all_negative_prompts": [request.negative_prompt] * count,
            "seed": request.seed,
            "all_seeds": [request.seed + index for index in range(count)],
            "subseed": request.subseed,
            "all_subseeds": [request.subseed + index for index in range(count)],
            "infotexts": texts,
            "steps": request.steps,
            "batch_size": request.batch_size,
            "index_of_first_image": 0,
        }


@dataclasses.dataclass
class Keeping:
    """A `Keeper` that writes into a folder. kept: (kind, saved, basename) of every picture."""

    folder: Path
    kept: list[tuple[Kind, bool, str]] = dataclasses.field(default_factory=list)

    def __call__(
        self,
        image: Image.Image,
        infotext: str,
        *,
        made: Made,
        request: Generation,
        kind: Kind,
        saved: bool,
        basename: str,
    ) -> JsonObject:
        path = self.folder / f"kept-{len(self.kept)}.png"
        image.save(path)
        self.kept.append((kind, saved, basename))
        facts = {"infotext": infotext, "saved": saved, "kind": kind}
        return {"path": str(path), **facts, "width": image.width, "height": image.height}


class World:
    """Everything a script needs. `context` begins a job anew (or again, after it was killed)."""

    def __init__(self, folder: Path) -> None:
        self.painter = Painter(folder)
        self.keeping = Keeping(folder)
        self.cells = Cells(Store(folder / "cells.sqlite"))
        self.inputs = Inputs(folder / "inputs")
        self.control = Silent()
        self.menus = menus()

    def context(self, *, tab: Any = "txt2img", title: str = "", job: str = "job", **options: Any) -> Context:
        return Context(
            tab=tab,
            title=title,
            options=OPTIONS.overlay(options),
            menus=self.menus,
            make=self.painter,
            keep=self.keeping,
            finished=self.cells,
            inputs=self.inputs,
            upscale=lambda image, scale, name: image.resize((int(image.width * scale), int(image.height * scale))),
            job_id=job,
            control=self.control,
            entropy=7,
        )


SMALL = Txt2Img(prompt="a cat", seed=5, subseed=6, steps=2, width=64, height=64)
