"""Extras as jobs: checked and queued with their pictures, run by the queue's worker. The composition root makes one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.types import JsonObject
from modules.generate import extras
from modules.generate.extras import Extras, Place, Source
from modules.generate.postprocess import Captioner, Steps, Tools
from modules.imaging.inputs import Inputs
from modules.settings.options import Options, Snapshot

if TYPE_CHECKING:
    from modules.generate.moments import Moments
    from modules.jobs.progress import Control
    from modules.jobs.queue import Queue
    from modules.loading.faces import FaceRestorers
    from modules.loading.upscale.catalog import Upscalers


KIND = "extras"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upload:
    """A picture as it came: the bytes of a file, and its name with the user ("" = none); field: of the request."""

    data: bytes
    name: str = ""
    field: str = "image"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Desk:
    """What the work needs from the rest of the house. data: the folder that relative output folders lie in; results:
    one folder a job for pictures that are not saved; moments: made when first asked for; record: (job id, path,
    infotext, size) of every saved picture.
    """

    options: Options
    steps: Steps
    upscalers: Upscalers
    faces: FaceRestorers
    data: Path
    results: Path
    inputs: Inputs
    moments: Callable[[], Moments]
    record: Callable[[str, Path, str, tuple[int, int]], None]
    captioners: dict[str, Captioner] = dataclasses.field(default_factory=dict)


class ExtrasJobs:
    """`submit` puts one into the queue, `run` is the queue's runner of their kind."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def submit(
        self,
        queue: Queue,
        request: Extras,
        uploads: Sequence[Upload] = (),
        *,
        id: str | None = None,
        owner: str = "",
    ) -> str:
        """Check a request and its pictures, keep them and queue the job -> its id.

        Raises BadRequest (also for what is no picture, naming the upload's field), NotFound, EaselError.
        """
        keys = [self._desk.inputs.add(upload.data, field=upload.field) for upload in uploads]
        sources = [Source(key=key, name=upload.name) for key, upload in zip(keys, uploads, strict=True)]
        request = dataclasses.replace(request, inputs=(*request.inputs, *sources))
        options = self._desk.options.snapshot()
        extras.check(request, self._desk.steps, self._tools(options))
        job = {"request": request.to_json(), "options": options.changed()}
        return queue.submit(KIND, job, id=id, owner=owner)

    def run(self, job: JsonObject, control: Control) -> JsonObject:
        """A job's row -> its result."""
        desk, id = self._desk, control.job_id
        options = Snapshot(desk.options.registry).overlay(job["options"])
        place = Place(
            data=desk.data,
            spool=desk.results / id,
            moments=desk.moments(),
            record=lambda path, text, size: desk.record(id, path, text, size),
        )
        started = time.perf_counter()
        request = Extras.of_json(job["request"])
        try:
            result = extras.run(request, desk.steps, self._tools(options), control, self._load, place)
        finally:
            desk.upscalers.release()
            desk.faces.release()
        seconds = time.perf_counter() - started
        return {**result, "seconds": seconds}

    def _load(self, key: str) -> bytes:
        return self._desk.inputs.read(key, field="image")

    def _tools(self, options: Mapping[str, Any]) -> Tools:
        desk = self._desk
        return Tools(options=options, upscalers=desk.upscalers, faces=desk.faces, captioners=desk.captioners)
