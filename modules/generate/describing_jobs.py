"""Descriptions of pictures as jobs. A row is {"picture": a name among the inputs, "model": …}."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modules.core.types import JsonObject

if TYPE_CHECKING:
    from modules.imaging.inputs import Inputs
    from modules.jobs.progress import Control
    from modules.loading.describers import Describers
    from modules.settings.options import Options

KIND = "interrogate"


def runner(
    describers: Describers, inputs: Inputs, options: Options, clear: Callable[[], None]
) -> Callable[[JsonObject, Control], JsonObject]:
    """clear: makes room, where memory is short."""

    def run(job: JsonObject, control: Control) -> JsonObject:
        started = time.perf_counter()
        control.text("Describing the picture")
        clear()
        image = inputs.open(job["picture"], field="image")
        caption = describers.describe(image, job["model"], options.snapshot())
        return {"pictures": [], "caption": caption, "seconds": time.perf_counter() - started}

    return run
