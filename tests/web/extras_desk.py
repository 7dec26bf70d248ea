"""Real postprocessing without a model for the web's tests: Lanczos and Nearest, and whatever files a test puts in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from fastapi import Depends, FastAPI

from modules.core import device
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate import postprocess_steps
from modules.generate.extras import Extras
from modules.generate.extras_jobs import Desk, ExtrasJobs, Upload
from modules.generate.moments import Moments
from modules.imaging.inputs import Inputs
from modules.jobs.progress import Control
from modules.jobs.queue import Queue
from modules.loading.faces import FaceRestorers
from modules.loading.upscale.catalog import Upscalers
from modules.settings.builtin import registry
from modules.settings.options import Options
from modules.web.api import auth, errors, extras
from modules.web.security.fetching import Policy
from modules.web.services import Services


class ExtrasDesk:
    """Everything below `folder`; `saved` has the paths that were recorded for the history."""

    def __init__(self, folder: Path, options: Options, queue: Queue) -> None:
        self._queue = queue
        self.saved: list[Path] = []
        self.requests: list[Extras] = []
        self.steps = postprocess_steps.builtin()
        models = {name: (folder / "models" / name,) for name in ("ESRGAN", "RealESRGAN", "GFPGAN", "Codeformer")}
        self.upscalers = Upscalers(models, lambda part: device.choose(use_cpu=["all"]))
        self.faces = FaceRestorers(models, lambda part: device.choose(use_cpu=["all"]))
        self.jobs = ExtrasJobs(
            Desk(
                options=options,
                steps=self.steps,
                upscalers=self.upscalers,
                faces=self.faces,
                data=folder,
                results=folder / "results",
                inputs=Inputs(folder / "inputs"),
                moments=Moments,
                record=lambda job, path, text, size: self.saved.append(path),
            )
        )

    def submit(self, request: Extras, uploads: Sequence[Upload] = (), *, id: str | None = None, owner: str = "") -> str:
        self.requests.append(request)
        return self.jobs.submit(self._queue, request, uploads, id=id, owner=owner)

    def run(self, job: JsonObject, control: Control) -> JsonObject:
        return self.jobs.run(job, control)


class ExtrasWorld:
    """The routes of postprocessing over a real queue, without the rest of the program; a context manager."""

    def __init__(self, folder: Path, *, option_values: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.folder = folder
        self.queue = Queue(Store(folder / "easel.sqlite"), {"extras": lambda job, control: self.desk.run(job, control)})
        self.options = Options(registry(), folder / "config.json")
        self.options.set(dict(option_values))
        self.desk = ExtrasDesk(folder, self.options, self.queue)
        self.upscalers, self.faces, self.submit_extras = self.desk.upscalers, self.desk.faces, self.desk.submit
        self.fetching = Policy()
        self.app = FastAPI()
        errors.install(self.app)
        self.app.include_router(
            extras.routes(cast(Services, self)), prefix="/sdapi/v1", dependencies=[Depends(auth.guard(()))]
        )

    def __enter__(self) -> ExtrasWorld:
        self.queue.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.queue.stop(timeout=10)
