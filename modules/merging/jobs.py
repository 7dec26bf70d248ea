"""Merges as jobs: checked and queued, run by the queue's worker. The composition root makes one `MergeDesk`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from modules.core.types import JsonObject
from modules.merging import plan
from modules.merging.request import Merge

if TYPE_CHECKING:
    from modules.jobs.progress import Control
    from modules.jobs.queue import Queue
    from modules.loading.library import Library
    from modules.networks.files import Files


KIND = "merge"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergeDesk:
    """folder: where results go; loras: the LoRA files, made when first asked for."""

    library: Library
    folder: Path
    loras: Callable[[], Files]

    def submit(self, queue: Queue, request: Merge, *, id: str | None = None, owner: str = "") -> str:
        """Check a merge by its files' headers and queue it -> job id. Raises BadRequest, NotFound, DamagedFile."""
        plan.make(request, self.library, self.folder)
        if request.loras:
            from modules.merging import run

            run.chosen(request, self.loras())
        return queue.submit(KIND, {"request": request.to_json()}, id=id, owner=owner)

    def run(self, job: JsonObject, control: Control) -> JsonObject:
        """The queue's runner: a job's row -> its result."""
        from modules.merging import run

        started = time.perf_counter()
        result = run.merge(Merge.of_json(job["request"]), self.library, self.loras(), self.folder, control)
        seconds = time.perf_counter() - started
        return {**result, "seconds": seconds}
