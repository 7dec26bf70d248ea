"""From finished pictures to files: which folder, which text, the grid, the history, the job's result."""

from __future__ import annotations

import copy
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

from modules.core.types import JsonObject
from modules.generate import describe
from modules.generate.moments import Arranging, Moments, Saved, Saving
from modules.generate.plan import Plan
from modules.imaging import filenames, grids, saving
from modules.imaging.filenames import NameFacts
from modules.imaging.policy import Kind, SavePolicy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """A picture on disk. saved: among the user's pictures; otherwise it lies with the results of recent jobs."""

    path: Path
    infotext: str
    saved: bool
    kind: Literal["sample", "grid", "mask"]
    seed: int
    size: tuple[int, int]

    def to_json(self) -> JsonObject:
        width, height = self.size
        facts = {"infotext": self.infotext, "saved": self.saved, "kind": self.kind, "seed": self.seed}
        return {"path": str(self.path), **facts, "width": width, "height": height}

    @classmethod
    def of_json(cls, row: JsonObject) -> Kept:
        facts = {name: row[name] for name in ("infotext", "saved", "kind", "seed")}
        return cls(path=Path(row["path"]), size=(row["width"], row["height"]), **facts)


class Ledger(Protocol):
    """What a job has finished, by number: `put` survives the process (`jobs.cells.Ledger`)."""

    def get(self, number: int) -> JsonObject | None: ...
    def put(self, number: int, row: JsonObject) -> None: ...


class Album:
    """The pictures of one job. Every picture is on disk when `add` returns, so that a crash loses none.

    data: the folder that relative output folders lie in; spool: a folder of the job's own for what is not to be saved;
    record: told of every kept picture (the history); ledger: remembers what was finished, so that a job whose process
    was killed goes on behind it.
    """

    def __init__(
        self,
        *,
        data: Path,
        spool: Path,
        moments: Moments,
        record: Callable[[Plan, Kept], None],
        clock: Callable[[], datetime] = datetime.now,
        ledger: Ledger | None = None,
    ) -> None:
        self._data = data
        self._spool = spool
        self._moments = moments
        self._record = record
        self._clock = clock
        self._ledger = ledger
        self._settled = 0  # so many of `_kept` are in the ledger
        self._images: list[Image.Image] = []
        self._kept: list[Kept] = []
        self._extra: Mapping[str, Any] = {}

    def heard_by(self, moments: Moments) -> Album:
        """This album, with others listening to what it saves."""
        heard = copy.copy(self)
        heard._moments = moments
        return heard

    def settle(self, index: int, *, complete: bool) -> None:
        """Picture `index` and all that belongs to it is here: another process of this job does not make it again."""
        if self._ledger is not None and complete:
            pictures = [kept.to_json() for kept in self._kept[self._settled :]]
            extra = json.loads(json.dumps(self._extra, default=str))
            self._ledger.put(index, {"pictures": pictures, "extra": extra})
        self._settled = len(self._kept)

    def holds(self, index: int) -> bool:
        """An earlier process of this job made picture `index`, and its files are still there."""
        row = self._ledger.get(index) if self._ledger is not None else None
        return row is not None and all(Path(each["path"]).is_file() for each in row["pictures"])

    def take_over(self, index: int) -> None:
        """Put picture `index`, which it holds, into this job's result and grid."""
        row = self._ledger.get(index) if self._ledger is not None else None
        for each in row["pictures"] if row else ():
            kept = Kept.of_json(each)
            with Image.open(kept.path) as image:
                self._images.append(image.convert(image.mode))
            self._kept.append(kept)
        self._extra = row["extra"] if row else self._extra
        self._settled = len(self._kept)

    def add(self, plan: Plan, index: int, image: Image.Image, extra: Mapping[str, Any], *, complete: bool) -> None:
        """Keep picture `index` of the plan; extra: its facts for the infotext; complete: it was sampled to the end.

        Raises EaselError naming folder and way out when the disk refuses.
        """
        infotext = describe.text_of(plan, index, extra)
        wanted = plan.options["samples_save"] and not plan.request.do_not_save_samples
        saved = wanted and (complete or plan.options["save_incomplete_images"])
        self._extra = extra
        self._images.append(image)
        self._kept.append(self._write(plan, index, image, infotext, kind="sample", saved=saved))

    def aside(self, plan: Plan, index: int, image: Image.Image, extra: Mapping[str, Any], suffix: str) -> None:
        """Save picture `index` as it is half-way, its file name ending with `suffix`; it is no part of the result."""
        if plan.options["samples_save"] and not plan.request.do_not_save_samples:
            infotext = describe.text_of(plan, index, extra)
            self._write(plan, index, image, infotext, kind="sample", saved=True, suffix=suffix)

    def add_mask(
        self,
        plan: Plan,
        index: int,
        image: Image.Image,
        extra: Mapping[str, Any],
        *,
        suffix: str,
        shown: bool,
        saved: bool,
    ) -> None:
        """What was inpainted of picture `index`. shown: it is part of the result; saved: and lies beside the picture,
        its file name ending with `suffix`, if that is saved.
        """
        saved = saved and plan.options["samples_save"] and not plan.request.do_not_save_samples
        if not (shown or saved):
            return
        infotext = describe.text_of(plan, index, extra) if saved else ""
        kept = self._write(plan, index, image, infotext, kind="sample", saved=saved, suffix=suffix)
        if shown:
            self._images.append(image)
            self._kept.append(dataclasses.replace(kept, kind="mask"))

    def add_input(self, plan: Plan, image: Image.Image, name: str) -> None:
        """Keep a picture that the job starts from, under this name, where the option `outdir_init_images` says."""
        policy, now = SavePolicy.of(plan.options, tab=plan.request.kind), self._clock()
        folder = self._data / plan.options["outdir_init_images"]
        texts = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
        saving.save(image, None, folder=folder, name=_facts(plan, 0), policy=policy, now=now, stem=name, texts=texts)

    def close(self, plan: Plan, more: Sequence[Image.Image] = ()) -> JsonObject:
        """Make the grid if one is wanted -> the job's result; `more` are shown at its end and not saved."""
        grid = self._grid(plan)
        kept = [grid, *self._kept] if grid else [*self._kept]
        for image in more:
            shown = self._write(plan, 0, image, "", kind="sample", saved=False)
            kept.append(dataclasses.replace(shown, kind="mask"))
        infotexts = [each.infotext for each in kept if each.kind != "mask"]
        info = describe.info(plan, infotexts, extra=self._extra or plan.extra, first=1 if grid else 0)
        if plan.options["samples_log_stdout"]:
            sys.stdout.write(json.dumps(info) + "\n")
        return {
            "pictures": [each.to_json() for each in kept],
            "info": info,
            "comments": list(plan.notes),
        }

    def _grid(self, plan: Plan) -> Kept | None:
        options = plan.options
        few = len(self._images) < 2 and options["grid_only_if_multiple"]
        unwanted = plan.request.do_not_save_grid or not (options["return_grid"] or options["grid_save"])
        if unwanted or few or not self._images:
            return None
        policy = SavePolicy.of(options, kind="grid", tab=plan.request.kind)
        rows = grids.row_count_for(len(self._images), policy, batch_size=plan.request.batch_size)
        event = Arranging(plan=plan, images=list(self._images), rows=rows)
        self._moments.arranging.fire(event)
        picture = grids.grid(event.images or self._images, event.rows, policy)
        infotext = self._kept[0].infotext
        kept = self._write(plan, 0, picture, infotext, kind="grid", saved=options["grid_save"])
        return kept if options["return_grid"] else None

    def _write(
        self, plan: Plan, index: int, image: Image.Image, infotext: str, *, kind: Kind, saved: bool, suffix: str = ""
    ) -> Kept:
        event = Saving(image=image, infotext=infotext)
        self._moments.saving.fire(event)
        policy = SavePolicy.of(plan.options, kind=kind, tab=plan.request.kind)
        now, facts = self._clock(), _facts(plan, index)
        if saved:
            folder = filenames.folder(self._data, policy, facts, image=event.image, now=now)
        else:
            folder, policy = self._spool, dataclasses.replace(policy, **_SPOOLED)
        done = saving.save(
            event.image, event.infotext, folder=folder, name=facts, policy=policy, now=now, suffix=suffix
        )
        self._moments.saved.fire(Saved(path=done.path, infotext=event.infotext))
        kept = Kept(
            path=done.path,
            infotext=event.infotext,
            saved=saved,
            kind=kind,
            seed=plan.seeds[index],
            size=event.image.size,
        )
        self._record(plan, kept)
        return kept


_SPOOLED: dict[str, Any] = {"pattern": "[seed]", "add_number": True, "save_txt": False, "export_for_4chan": False}
"""A fetched result is the picture alone, under a plain name."""


def _facts(plan: Plan, index: int) -> NameFacts:
    """What file-name patterns may tell of picture `index`."""
    request, size = plan.request, plan.request.batch_size
    return NameFacts(
        seed=plan.seeds[index],
        seeds=plan.seeds,
        prompt=plan.prompts[index],
        negative_prompt=plan.negative_prompts[index],
        styles=request.styles,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        sampler=plan.sampler.name,
        scheduler=plan.scheduler_label,
        model_name=plan.checkpoint.short_name,
        model_hash=plan.checkpoint.hash,
        vae_filename=plan.vae.name if plan.vae else None,
        clip_skip=plan.text.skip,
        job_timestamp=plan.started.strftime("%Y%m%d%H%M%S"),
        batch_index=index % size,
        batch_size=size,
        iteration=index // size,
        n_iter=request.n_iter,
    )
