"""Where txt2img and img2img jobs come in and are sent to work: the check of a request, the row for the queue, the
queue's runner. The composition root makes one `Desk`. Imports torch only when something is checked or run.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modules.core.types import JsonObject
from modules.generate.request import KINDS, Generation
from modules.jobs.cells import Cells
from modules.loading.faces import FaceRestorers
from modules.loading.library import Library
from modules.loading.upscale.catalog import Upscalers
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog
from modules.settings.options import Options, Snapshot

if TYPE_CHECKING:
    from modules.generate.plan import Plan
    from modules.generate.save import Album, Kept
    from modules.generate.studio import Studio
    from modules.jobs.progress import Control


@dataclasses.dataclass(frozen=True, kw_only=True)
class Desk:
    """What the work needs from the rest of the house. studio: what makes pictures, asked for when a job runs; data: the
    folder of outputs; results: the folder in which each job has one of its own; record: told of kept pictures (job id,
    picture, model's name); cells: remembers what jobs have finished, over the death of the process; unfinished: a
    folder for how far their sampling is.
    """

    options: Options
    library: Library
    catalog: Catalog
    styles: StyleBook
    upscalers: Upscalers
    faces: FaceRestorers
    version: str
    studio: Callable[[], Studio]
    data: Path
    results: Path
    record: Callable[[str, Kept, str], None]
    cells: Cells | None = None
    unfinished: Path | None = None

    def check(self, request: Generation, settings: Snapshot) -> Plan:
        """The plan of a request. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile."""
        from modules.generate import plan, restoring

        stock = plan.Stock(
            library=self.library,
            catalog=self.catalog,
            styles=self.styles,
            upscalers=self.upscalers,
            version=self.version,
        )
        work = plan.make(request, settings, stock, datetime.now())
        restoring.check(self.faces, work)
        return work

    def asked(self, request: Generation) -> JsonObject:
        """What a client asked for: equal questions under one job id are one job."""
        return request.to_json()

    def row(self, request: Generation) -> JsonObject:
        """Check a request and freeze its seeds and today's options with it -> the job's row. Raises as `check`."""
        from modules.generate import plan, together

        settings = self.options.snapshot().overlay(request.override_settings)
        fixed = plan.with_seeds(request)
        checked = self.check(fixed, settings)
        frozen = {**settings.changed(), "sd_model_checkpoint": checked.checkpoint.name}
        row = {"asked": self.asked(request), "request": fixed.to_json(), "options": frozen}
        return row | {"together": together.alike(checked, frozen)}

    def run(self, kind: str, job: JsonObject, control: Control) -> JsonObject:
        """The queue's runner: a job's row -> its result."""
        from modules.generate import run

        control.text("Starting")
        studio = self._going_on(self.studio(), control)
        settings, album = self._settings(job), self._album(studio, control.job_id)
        started = time.perf_counter()
        try:
            result = run.make(studio, KINDS[kind].of_json(job["request"]), settings, control, album)
        finally:
            self.upscalers.release()  # once a job, not a batch; the next may need its memory
        seconds = time.perf_counter() - started
        return {**result, "seconds": seconds}

    def run_together(
        self, jobs: Sequence[JsonObject], controls: Sequence[Control]
    ) -> list[Callable[[], JsonObject]] | None:
        """Several jobs in one batch -> what saves the pictures of each and gives its result; None: they do not fit."""
        from modules.generate import together

        studio = self._going_on(self.studio(), controls[0])
        started = time.perf_counter()
        parts = [
            together.Part(
                request=KINDS["txt2img"].of_json(job["request"]),
                options=self._settings(job),
                control=control,
                album=self._album(studio, control.job_id),
            )
            for job, control in zip(jobs, controls, strict=True)
        ]
        finishes = together.make(studio, parts)
        if finishes is None:
            return None

        def timed(finish: Callable[[], JsonObject]) -> JsonObject:
            return {**finish(), "seconds": time.perf_counter() - started}

        return [functools.partial(timed, finish) for finish in finishes]

    def room(self, job: JsonObject) -> int:
        """How many more jobs like this one fit into its batch."""
        most: int = self.options.snapshot()["batch_waiting_requests"]
        pictures: int = job["request"]["batch_size"]
        return most // pictures - 1

    def _going_on(self, studio: Studio, control: Control) -> Studio:
        """The studio, with where this job keeps how far its sampling is."""
        if self.unfinished is None:
            return studio
        return dataclasses.replace(studio, unfinished=self.unfinished / control.job_id)

    def _settings(self, job: JsonObject) -> Snapshot:
        return Snapshot(self.options.registry).overlay(job["options"])

    def _album(self, studio: Studio, id: str) -> Album:
        from modules.generate.save import Album

        return Album(
            data=self.data,
            spool=self.results / id,
            moments=studio.moments,
            record=lambda plan, kept: self.record(id, kept, plan.checkpoint.name),
            ledger=None if self.cells is None else self.cells.of_job(id),
        )

    def runners(self) -> dict[str, Callable[[JsonObject, Control], JsonObject]]:
        """One for each kind of request."""
        return {kind: functools.partial(self.run, kind) for kind in KINDS}
