"""The composition root: the only file that knows everyone. `build(flags)` makes the program, `App.serve` runs it."""

from __future__ import annotations

import functools
import logging
import shutil
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from modules.core.errors import EaselError, NotFound
from modules.core.paths import Paths
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate.request import Txt2Img
from modules.jobs.history import History, Picture
from modules.jobs.progress import Control
from modules.jobs.queue import Queue
from modules.loading.library import Library, no_checkpoint_message
from modules.prompts.chunks import TextPolicy, counted
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog, builtin
from modules.settings import builtin as settings_table
from modules.settings.flags import Flags
from modules.settings.options import Options, Snapshot, frozen_keys
from modules.settings.version import VERSION
from modules.web import api, server
from modules.web.memory import memory
from modules.web.services import Services

if TYPE_CHECKING:
    from modules.generate.plan import Plan
    from modules.generate.run import Studio
    from modules.generate.save import Kept

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
RESULTS_KEPT = 200
"""Jobs whose unsaved pictures can still be fetched."""


class App:
    """The program: its parts, put together. `start` begins to work on jobs, `serve` answers requests until stopped."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.paths = _paths(flags)
        self.paths.ensure()
        self.store = Store(self.paths.database)
        self.history = History(self.store)
        self.catalog: Catalog = builtin()
        self.styles = StyleBook(self.paths.styles)
        self.options = _options(flags, self.paths, self.catalog)
        starting = [Path(flags.ckpt)] if flags.ckpt else []
        self.library = Library(self.paths.checkpoints, self.store, files=starting, hashing=not flags.no_hashing)
        self._studio: Studio | None = None
        self._making_studio = threading.Lock()
        self.queue = Queue(self.store, {"txt2img": self._txt2img}, on_pruned=self._forget)
        self.services = self._services()
        self.asgi = self._asgi()
        self._resting = False

    def start(self) -> None:
        """Begin to work: jobs left from the last run first."""
        self._choose_checkpoint()
        self._resting = False
        self.queue.start()

    def stop(self) -> None:
        """End the work and close the database."""
        self.rest()
        self.store.close()

    def rest(self) -> None:
        """Give the running job a moment; what is not done by then runs again at the next start. Whoever waits for a
        job is told so. Does its work once.
        """
        if not self._resting:
            self._resting = True
            self.queue.stop(timeout=5)

    def serve(self) -> None:
        """Answer requests until Ctrl-C. Raises EaselError where the address cannot be used."""
        listener = server.bind(self.flags)
        self.start()
        try:
            with server.shared(self.flags, listener):
                server.serve(
                    self.asgi,
                    self.flags,
                    listener,
                    ready=lambda: self._ready(server.address(self.flags, listener)),
                    ending=self.rest,
                )
        finally:
            self.stop()

    @property
    def studio(self) -> Studio:
        """What makes pictures. Its first use, by the worker or by the warm-up, imports torch and chooses the device."""
        with self._making_studio:
            if self._studio is None:
                self._studio = self._make_studio()
            return self._studio

    def _make_studio(self) -> Studio:
        from modules.core import device
        from modules.generate.moments import Moments
        from modules.generate.run import Studio
        from modules.loading.shelf import Shelf
        from modules.networks.apply import Networks

        flags = self.flags
        placement = device.choose(
            use_cpu=flags.use_cpu,
            device_id=flags.device_id,
            no_half=flags.no_half,
            no_half_vae=flags.no_half_vae,
            precision=flags.precision,
            bf16=flags.bf16,
        )
        log.info("Computing on %s in %s.", placement.device, placement.dtype)
        residency = "lowvram" if flags.lowvram else "medvram" if flags.medvram else "normal"
        return Studio(
            library=self.library,
            catalog=self.catalog,
            shelf=Shelf(placement, residency=residency),
            moments=Moments(),
            networks=Networks(
                loras=self.paths.loras,
                hypernetworks=self.paths.hypernetworks,
                embeddings=self.paths.embeddings,
                store=self.store,
            ),
            styles=self.styles,
            version=VERSION,
        )

    def submit_txt2img(self, request: Txt2Img, *, id: str | None = None, owner: str = "") -> str:
        """Check a request, freeze today's options with it and queue it -> job id. Raises BadRequest, NotFound,
        NoCheckpoint, DamagedFile."""
        from modules.generate import plan

        asked = request.to_json()
        if id is not None and self._has(id, asked):
            return id
        snapshot = self.options.snapshot().overlay(request.override_settings)
        request = plan.with_seeds(request)
        checked = plan.make(
            request,
            snapshot,
            library=self.library,
            catalog=self.catalog,
            styles=self.styles,
            version=VERSION,
            started=datetime.now(),
        )
        frozen = {**snapshot.changed(), "sd_model_checkpoint": checked.checkpoint.name}
        job = {"asked": asked, "request": request.to_json(), "options": frozen}
        return self.queue.submit("txt2img", job, id=id, owner=owner)

    def _has(self, id: str, asked: JsonObject) -> bool:
        """Whether this very request was queued under this id before: asking twice makes one job."""
        try:
            return bool(self.queue.get(id).request.get("asked") == asked)
        except NotFound:
            return False

    def _txt2img(self, job: JsonObject, control: Control) -> JsonObject:
        """The queue's runner: a job's row -> its result."""
        from modules.generate import run
        from modules.generate.save import Album

        control.text("Starting")
        job_id = control.job_id
        options = Snapshot(self.options.registry).overlay(job["options"])
        album = Album(
            data=self.paths.data,
            spool=self.paths.results / job_id,
            moments=self.studio.moments,
            record=functools.partial(self._record, job_id),
        )
        started = time.perf_counter()
        result = run.txt2img(self.studio, Txt2Img.of_json(job["request"]), options, control, album)
        seconds = time.perf_counter() - started
        log.info("Job %s: %d pictures in %.2f s.", job_id, len(result["pictures"]), seconds)
        _trim(self.paths.results, RESULTS_KEPT)
        return {**result, "seconds": seconds}

    def _record(self, job_id: str, plan: Plan, kept: Kept) -> None:
        width, height = kept.size
        picture = Picture(
            job_id=job_id,
            path=str(kept.path),
            kind=kept.kind,
            infotext=kept.infotext,
            seed=kept.seed,
            width=width,
            height=height,
            model=plan.checkpoint.name,
        )
        if kept.saved:
            self.history.add([picture])

    def _forget(self, jobs: list[Any]) -> None:
        for job in jobs:
            shutil.rmtree(self.paths.results / job.id, ignore_errors=True)

    def _services(self) -> Services:
        return Services(
            flags=self.flags,
            paths=self.paths,
            options=self.options,
            library=self.library,
            queue=self.queue,
            version=VERSION,
            submit_txt2img=self.submit_txt2img,
            memory=memory,
            count_tokens=lambda text: counted(text, TextPolicy.of(self.options.snapshot())),
            catalog=self.catalog,
            allowed_folders=(self.paths.outputs, self.paths.results, *map(Path, self.flags.gradio_allowed_path)),
        )

    def _asgi(self) -> FastAPI:
        asgi: FastAPI = FastAPIOffline(title="Easel", version=VERSION, description="A1111's REST interface.")
        api.install(asgi, self.services)
        if self.flags.nowebui:
            return asgi
        from modules.web import ui

        ui.mount(asgi, self.services)
        return asgi

    def _choose_checkpoint(self) -> None:
        """--ckpt, or where nothing was ever chosen the first file, becomes the selected checkpoint."""
        usable = self.library.checkpoints()
        if self.flags.ckpt:
            self.options.set({"sd_model_checkpoint": self.library.find(self.flags.ckpt).title}, even_frozen=True)
        elif usable and not self.options.snapshot()["sd_model_checkpoint"]:
            self.options.set({"sd_model_checkpoint": usable[0].title}, even_frozen=True)

    def _ready(self, where: str) -> None:
        server.announce(self.flags, where)
        if not self.library.checkpoints():
            print(no_checkpoint_message(self.paths.checkpoints), flush=True)
        threading.Thread(target=self._warm_up, name="easel-warm-up", daemon=True).start()

    def _warm_up(self) -> None:
        """Import what the first picture needs while the user is still typing."""
        from modules.loading import loader

        try:
            _ = self.studio
            loader.import_libraries()
        except EaselError as error:
            log.error("%s", error)


def build(flags: Flags) -> App:
    """The program for these flags. Raises EaselError where folders cannot be used."""
    logging.basicConfig(level=flags.loglevel or "INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "asyncio", "diffusers", "transformers"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return App(flags)


def _paths(flags: Flags) -> Paths:
    return Paths.make(
        root=ROOT,
        data_dir=flags.data_dir,
        models_dir=flags.models_dir,
        ckpt_dir=flags.ckpt_dir,
        vae_dir=flags.vae_dir,
        lora_dir=flags.lora_dir,
        embeddings_dir=flags.embeddings_dir,
        hypernetwork_dir=flags.hypernetwork_dir,
        config=flags.ui_settings_file,
        ui_config=flags.ui_config_file,
        styles=flags.styles_file or None,
    )


def _options(flags: Flags, paths: Paths, catalog: Catalog) -> Options:
    registry = settings_table.registry(
        samplers=[row.name for row in catalog.samplers()], schedulers=[row.label for row in catalog.schedulers()]
    )
    frozen = frozen_keys(
        registry, everything=flags.freeze_settings, sections=flags.frozen_sections, keys=flags.frozen_settings
    )
    return Options(registry, paths.config, frozen=frozen)


def _trim(folder: Path, keep: int) -> None:
    """Keep the newest `keep` folders of unsaved results."""
    entries = sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        shutil.rmtree(entry, ignore_errors=True)
