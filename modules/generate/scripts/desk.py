"""Where scripts come in and are sent to work: the check of a request, the row for the queue, the queue's runner.

The composition root makes one `Desk`. Imports torch only when something is checked or run.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.types import JsonObject
from modules.generate.request import KINDS, Generation
from modules.generate.scripts.registry import Menus, Scripts, Tab
from modules.imaging.inputs import Inputs
from modules.jobs.cells import Cells
from modules.loading.library import Library
from modules.loading.upscale.catalog import Upscalers
from modules.settings.options import Options, Snapshot

if TYPE_CHECKING:
    from modules.generate.save import Kept
    from modules.generate.studio import Studio
    from modules.jobs.progress import Control


KIND = "script"
"""Of the jobs in the queue."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Desk:
    """What scripts need of the program.

    check: raises for a request that cannot be planned; studio: what makes pictures, asked for when a job runs;
    data: the folder of outputs; results: the folder in which each job has one of its own; record: told of kept pictures
    (job id, picture, model's name); unfinished: a folder for how far the sampling of jobs is; guard: as
    `Workshop` has it.
    """

    scripts: Scripts
    menus: Menus
    cells: Cells
    options: Options
    library: Library
    check: Callable[[Generation, Snapshot], object]
    studio: Callable[[], Studio]
    inputs: Inputs
    upscalers: Upscalers
    data: Path
    results: Path
    record: Callable[[str, Kept, str], None]
    unfinished: Path | None = None
    guard: Callable[[Mapping[str, Any]], None] = lambda settings: None

    def asked(self, request: Generation, script: str, arguments: Sequence[Any]) -> JsonObject:
        """What a client asked for: equal questions under one job id are one job."""
        return {"script": script, "args": list(arguments), "request": request.to_json()}

    def row(self, request: Generation, script: str, arguments: Sequence[Any]) -> JsonObject:
        """Check a request with its script and freeze today's options with it -> the job's row.

        Seeds of -1 stay: the script decides what they mean. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile.
        """
        tab = _tab(request)
        found = self.scripts.find(script, tab)
        given = found.read(tab, self.menus, arguments)
        settings = self.options.snapshot()
        own = settings.overlay(request.override_settings)
        self.check(request, own)
        if found.check is not None:
            found.check(tab, self.menus, own, {**given, "request": request.to_json()})
        chosen = self.library.chosen(settings["sd_model_checkpoint"]).name
        return {
            "asked": self.asked(request, script, arguments),
            "tab": tab,
            "script": found.title,
            "args": list(arguments),
            "request": request.to_json(),
            "options": {**settings.changed(), "sd_model_checkpoint": chosen},
            "entropy": random.randrange(2**63),
        }

    def run(self, job: JsonObject, control: Control) -> JsonObject:
        """The queue's runner: a job's row -> its result."""
        from modules.generate.scripts.running import Workshop, run_job

        control.text("Starting")
        self.cells.tidy()
        shop = Workshop(
            scripts=self.scripts,
            menus=self.menus,
            cells=self.cells,
            read=read_request,
            inputs=self.inputs,
            upscale=self.upscalers.upscale,
            data=self.data,
            spool=self.results / control.job_id,
            record=lambda kept, model: self.record(control.job_id, kept, model),
            guard=self.guard,
        )
        settings = Snapshot(self.options.registry).overlay(job["options"])
        studio = dataclasses.replace(self.studio(), unfinished=self.unfinished and self.unfinished / control.job_id)
        started = time.perf_counter()
        try:
            result = run_job(studio, job, settings, control, shop, job_id=control.job_id)
        finally:
            self.upscalers.release()
        seconds = time.perf_counter() - started
        return {**result, "seconds": seconds}


def read_request(tab: Tab, data: Mapping[str, Any]) -> Generation:
    """The request of a tab from its JSON."""
    return KINDS[tab].of_json(data)


def _tab(request: Generation) -> Tab:
    return "img2img" if request.kind == "img2img" else "txt2img"
