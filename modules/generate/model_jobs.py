"""The model in memory, let go and taken back as jobs: only the worker's thread may touch it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modules.core.types import JsonObject

if TYPE_CHECKING:
    from modules.generate.studio import Studio
    from modules.jobs.progress import Control
    from modules.settings.options import Options

KIND = "model"
UNLOAD, RELOAD = "unload", "reload"


def runner(studio: Callable[[], Studio], options: Options) -> Callable[[JsonObject, Control], JsonObject]:
    """Runs {"action": "unload"} or {"action": "reload"}."""

    def run(job: JsonObject, control: Control) -> JsonObject:
        started = time.perf_counter()
        now = options.snapshot()
        if job["action"] == UNLOAD:
            studio().shelf.clear()
        else:
            from modules.loading import storage

            entry = studio().library.chosen(now["sd_model_checkpoint"])
            studio().shelf.get(entry, keep=now["sd_checkpoint_cache"], **storage.ways(now, entry.family))
        return {"pictures": [], "seconds": time.perf_counter() - started}

    return run
