"""Scripts on the workbench: the real engine, real cells in SQLite, no queue."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate.request import KINDS, Generation
from modules.generate.scripts.builtin import scripts
from modules.generate.scripts.registry import Menus, Scripts
from modules.generate.scripts.running import Workshop, run_job
from modules.jobs.cells import Cells
from modules.settings.options import Snapshot
from tests.reference.cases import Case
from tests.reference.test_pictures import request_of
from tests.studio import MENUS, Bench, Silent


class Stage:
    """Runs scripts. cells: what is on the disk of jobs so far; table: the scripts there are."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.table: Scripts = scripts()
        self.cells = Cells(Store(folder / "cells.sqlite"))
        self.inputs = bench.studio.inputs
        self._numbers = itertools.count()

    def upscale(self, image: Image.Image, scale: float, name: str, options: Snapshot) -> Image.Image:
        """Lanczos, whatever the name."""
        return image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.LANCZOS)

    def menus(self) -> Menus:
        library, catalog = self.bench.library, self.bench.studio.catalog
        return Menus(
            samplers=lambda: [row.name for row in catalog.samplers()],
            schedulers=lambda: [row.label for row in catalog.schedulers()],
            checkpoints=lambda: [entry.title for entry in library.checkpoints()],
            find_checkpoint=lambda name: library.find(name).name,
        )

    def row(self, name: str, arguments: list[Any], request: Generation) -> JsonObject:
        """A job as the queue has it."""
        facts = {"tab": request.kind, "script": name, "args": arguments, "entropy": 1}
        return {**facts, "request": request.to_json()}

    def run(
        self,
        job: JsonObject,
        *,
        id: str | None = None,
        control: Silent | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> JsonObject:
        """A job's result; the same id goes on where the job was left."""
        id = id or f"job-{next(self._numbers)}"
        shop = Workshop(
            scripts=self.table,
            menus=self.menus(),
            cells=self.cells,
            read=lambda tab, data: KINDS[tab].of_json(data),
            inputs=self.inputs,
            upscale=self.upscale,
            data=self.folder / "data",
            spool=self.folder / "spool" / id,
            record=lambda kept, model: None,
        )
        settings: Snapshot = self.bench.options(options or {})
        return run_job(self.bench.studio, job, settings, control or Silent(), shop, job_id=id)


def answered(case: Case, bench: Bench, folder: Path) -> JsonObject:
    """Our answer to a case of A1111 that runs scripts."""
    request = request_of(case, bench.studio.inputs)
    name = case.request.get("script_name")
    with bench.extended("soft_inpainting"):
        asked = case.request.get("alwayson_scripts", {})
        known = {key: value for key, value in asked.items() if key.lower() == "soft inpainting"}
        given = bench.scripts.check_always_on(known, "img2img", MENUS)
        request = dataclasses.replace(request, extension_args=given)
        if not name:
            return bench.make(request, **case.settings)
        stage = Stage(bench, folder)
        return stage.run(stage.row(name, case.request["script_args"], request), options=case.settings)
