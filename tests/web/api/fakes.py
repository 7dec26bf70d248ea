"""A running program for the API's tests: real settings and a real queue; a painter in place of the engine.

Its pictures are grey ramps; a prompt with "wait" waits until the test opens the gate or somebody interrupts.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fastapi import FastAPI
from PIL import Image, PngImagePlugin

from modules.core import device
from modules.core.errors import DamagedFile, EaselError, NoCheckpoint, NotFound
from modules.core.paths import Paths
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate import postprocess_steps
from modules.generate.request import Generation
from modules.generate.scripts.builtin import scripts as builtin_scripts
from modules.generate.scripts.registry import Menus
from modules.imaging.inputs import Inputs
from modules.imaging.upscale import LATENT_MODES
from modules.jobs.history import History
from modules.jobs.progress import Control
from modules.jobs.queue import Queue
from modules.jobs.tally import Tally
from modules.jobs.trash import Trash
from modules.jobs.webhooks import Webhooks
from modules.loading.describers import Describers
from modules.loading.vaes import VaeFile
from modules.merging.request import Merge
from modules.networks.apply import Networks
from modules.networks.embeddings import Embedding
from modules.networks.training_desk import Training, TrainingDesk
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import builtin
from modules.settings.builtin import registry
from modules.settings.flags import Flags, parse
from modules.settings.options import Options, frozen_keys
from modules.web import api
from modules.web.api.easel import views
from modules.web.security.folders import Folders
from modules.web.services import Readiness, Services
from modules.web.webhooks import Sender
from tests.web.extras_desk import ExtrasDesk

SHA = "b856c004a287a871ecb20d03f3bafc43174c95a030f1cf8d5c3abc5a3d12e9d9"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FakeCheckpoint:
    """A model file as the library lists it."""

    path: Path
    name: str
    sha256: str | None = None
    family: str | None = "sd1"
    config: str | None = None

    @property
    def model_name(self) -> str:
        return self.name.rsplit(".", 1)[0].replace("/", "_")

    @property
    def hash(self) -> str | None:
        return self.sha256[:10] if self.sha256 else None

    @property
    def title(self) -> str:
        return f"{self.name} [{self.hash}]" if self.hash else self.name


class FakeVaes:
    """`b.vae.pt` and `a.safetensors`; `broken.pt` is damaged; refreshes are counted."""

    def __init__(self, folder: Path) -> None:
        names = ("a.safetensors", "b.vae.pt")
        self.entries = [VaeFile(path=folder / name, name=name, size=1, mtime=1) for name in names]
        self.refreshed = 0

    def refresh(self) -> None:
        self.refreshed += 1

    def all(self) -> list[VaeFile]:
        return list(self.entries)

    def find(self, name: str) -> VaeFile:
        if name == "broken.pt":
            raise DamagedFile("broken.pt: the file is empty.")
        for entry in self.entries:
            if name in (entry.name, entry.path.stem):
                return entry
        raise NotFound("VAE", name, [entry.name for entry in self.entries], field="sd_vae")


class FakeLibrary:
    """`tiny.safetensors` and `sub/other.safetensors`; `broken.safetensors` is damaged; refreshes are counted."""

    def __init__(self, folder: Path) -> None:
        self.entries = [
            FakeCheckpoint(path=folder / name, name=name) for name in ("tiny.safetensors", "sub/other.safetensors")
        ]
        self.refreshed = 0
        self.vaes = FakeVaes(folder)

    def refresh(self) -> None:
        self.refreshed += 1

    def checkpoints(self) -> list[FakeCheckpoint]:
        return list(self.entries)

    def chosen(self, name: str | None) -> FakeCheckpoint:
        return self.find(name or self.entries[0].name)

    def find(self, name: str) -> FakeCheckpoint:
        if name == "broken.safetensors":
            raise DamagedFile("broken.safetensors: the header is cut off.")
        for entry in self.entries:
            if name.casefold() in (entry.title.casefold(), entry.name.casefold(), entry.model_name.casefold()):
                return entry
        raise NotFound("Checkpoint", name, [entry.name for entry in self.entries], field="sd_model_checkpoint")

    def hashed(self, entry: FakeCheckpoint) -> FakeCheckpoint:
        complete = dataclasses.replace(entry, sha256=SHA)
        self.entries = [complete if other.path == entry.path else other for other in self.entries]
        return complete


class Painter:
    """Runs jobs of the kind txt2img: two steps a batch, a preview when watched, PNG files with an infotext."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = threading.Event()
        self.started = threading.Event()

    def __call__(self, request: JsonObject, control: Control) -> JsonObject:
        prompt = request["prompt"]
        if prompt == "no model":
            raise NoCheckpoint("There is no checkpoint yet.")
        if prompt == "bug":
            raise ZeroDivisionError("division by zero")
        control.begin(batches=request["n_iter"], steps=2)
        control.text("Sampling")
        control.step(1)
        self.started.set()
        while "wait" in prompt and not (self.gate.is_set() or control.interrupted or control.skipped):
            if control.watched() and control.progress.preview is None:
                control.preview(Image.new("RGB", (8, 8), (200, 100, 50)))
            self.gate.wait(0.01)
        pictures = [self.write(request, control.job_id, index) for index in range(request["n_iter"])]
        info = {"prompt": prompt, "infotexts": [picture["infotext"] for picture in pictures]}
        return {"pictures": pictures, "info": info, "comments": []}

    def write(self, request: JsonObject, job: str, index: int) -> JsonObject:
        text = f"{request['prompt']}\nSteps: {request['steps']}, Sampler: {request['sampler_name']}, Seed: {index}"
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        path = self.folder / f"{job}-{index}.png"
        size = (request["width"], request["height"])
        Image.linear_gradient("L").resize(size).convert("RGB").save(path, pnginfo=info)
        return {"path": str(path), "infotext": text, "saved": False, "kind": "sample"}


class World:
    """The services, the app, and what the tests look at behind them; a context manager, the queue works inside it."""

    def __init__(self, folder: Path, *arguments: str, api_flag: bool = True) -> None:
        """arguments: flags of the command line, beside --api."""
        self.flags: Flags = parse(["--api", *arguments] if api_flag else arguments)
        self.painter = Painter(folder)
        self.library = FakeLibrary(folder)
        self.requests: list[tuple[Generation, str]] = []
        self.scripted: list[tuple[str | None, list[Any]]] = []
        self.ends: list[str] = []
        self.actions: list[str] = []
        self.trained: list[JsonObject] = []
        self.store = Store(folder / "easel.sqlite")
        self.history = History(self.store)
        self.trash = Trash(self.history, folder / "trash")
        self.tally, self.forbid_local = Tally(), True
        self.queue = Queue(
            self.store,
            {
                "txt2img": self.painter,
                "img2img": self.painter,
                "extras": lambda job, control: self.desk.run(job, control),
                "merge": lambda job, control: {"pictures": [], "checkpoint": job["custom_name"]},
                "model": self.act,
                "training": self.train,
                "interrogate": self.describe,
            },
            on_ended=(self.tally.add,),
            on_change=lambda: self.webhooks.wake(),
        )
        self.webhooks = Sender(
            Webhooks(self.store),
            tell=functools.partial(views.message, self.queue),
            forbid_local=lambda: self.forbid_local,
        )
        catalog = builtin()
        options = registry(samplers=[row.name for row in catalog.samplers()])
        paths = Paths.make(root=folder)
        folders = Folders.of(self.flags, paths)
        self.training = TrainingDesk(
            library=self.library,
            chosen=lambda: "tiny.safetensors",
            folders={"embedding": folder / "embeddings", "hypernetwork": folder / "models" / "hypernetworks"},
            data=folder,
            templates=folder / "textual_inversion_templates",
            runs=folder / "cache" / "training",
            root=folder,
            clear=lambda: None,
            queue=lambda: self.queue,
        )
        frozen = frozen_keys(
            options,
            everything=self.flags.freeze_settings,
            sections=self.flags.frozen_sections,
            keys=self.flags.frozen_settings,
        )
        self.options = Options(options, folder / "config.json", frozen=frozen, guard=folders.check_settings)
        self.desk = ExtrasDesk(folder, self.options, self.queue)
        self.services = Services(
            flags=self.flags,
            paths=paths,
            options=self.options,
            library=self.library,
            queue=self.queue,
            history=self.history,
            trash=self.trash,
            tally=self.tally,
            webhooks=self.webhooks,
            readiness=lambda: Readiness(engine=True, model=False),
            version="0.0.test",
            submit=self.submit,
            inputs=Inputs(folder / "inputs"),
            submit_extras=self.desk.submit,
            submit_merge=self.submit_merge,
            upscalers=self.desk.upscalers,
            steps=postprocess_steps.builtin(),
            faces=self.desk.faces,
            memory=lambda: {"ram": {"free": 1, "used": 1, "total": 2}, "cuda": {"error": "unavailable"}},
            count_tokens=lambda text: (len(text.split()), 75),
            styles=StyleBook([folder / "styles.csv"]),
            menus=Menus(
                samplers=lambda: [row.name for row in catalog.samplers()],
                schedulers=lambda: [row.label for row in catalog.schedulers()],
                checkpoints=lambda: [entry.title for entry in self.library.checkpoints()],
                find_checkpoint=lambda name: self.library.find(name).title,
                latent_upscalers=lambda: tuple(LATENT_MODES),
            ),
            scripts=builtin_scripts(),
            networks=lambda: self.networks,
            embeddings=self.embeddings,
            training=self.training,
            describers=Describers(
                blip=folder / "BLIP",
                clip=folder / "CLIP",
                tagger=(folder / "torch_deepdanbooru",),
                lists=folder / "interrogate",
                placement=lambda: device.choose(use_cpu=["all"]),
            ),
            end=self.ends.append,
            startup={"total": 1.0, "records": {}},
        )
        self.networks = Networks(
            loras=[folder / "Lora"],
            hypernetworks=[folder / "hypernetworks"],
            embeddings=[folder / "embeddings"],
            store=Store(folder / "networks.sqlite"),
        )
        self.app = FastAPI()
        api.install(self.app, self.services)

        @self.app.get("/broken")
        def broken() -> None:
            raise EaselError("The disk is full.")

        @self.app.get("/missing")
        def missing() -> None:
            raise NotFound("Picture", "7")

        @self.app.get("/bug")
        def bug() -> None:
            raise ZeroDivisionError("division by \ud800")

    def submit(
        self,
        request: Generation,
        *,
        script: str | None = None,
        arguments: Sequence[Any] = (),
        id: str | None = None,
        owner: str = "",
    ) -> str:
        """As the real one: names are found and settings checked before anything is queued."""
        builtin().find_sampler(request.sampler_name)
        if request.scheduler:
            builtin().find_scheduler(request.scheduler)
        now = self.options.snapshot()
        self.services.folders.check_settings(request.override_settings, now, prefix="override_settings.")
        now.overlay(request.override_settings)
        queued = self.queue.submit(request.kind, request.to_json(), id=id, owner=owner)
        self.requests.append((request, owner))
        self.scripted.append((script, list(arguments)))
        return queued

    def train(self, job: JsonObject, control: Control) -> JsonObject:
        """The training's process is left out; its request is kept."""
        self.trained.append(job)
        return {"pictures": [], "path": str(self.training.file(Training(**job["request"]))), "step": 1}

    def act(self, job: JsonObject, control: Control) -> JsonObject:
        self.actions.append(job["action"])
        return {"pictures": []}

    def describe(self, job: JsonObject, control: Control) -> JsonObject:
        return {"pictures": [], "caption": f"a picture, says {job['model']}"}

    def embeddings(self) -> tuple[list[Embedding], list[Embedding]]:
        """Those for one text encoder fit."""
        found = self.networks.embeddings.scan()
        return [each for each in found if len(each.vectors) == 1], [each for each in found if len(each.vectors) > 1]

    def submit_merge(self, request: Merge, *, id: str | None = None, owner: str = "") -> str:
        """As the real one: checked before it is queued."""
        request.check()
        for name in request.names:
            self.library.find(name)
        return self.queue.submit("merge", request.to_json(), id=id, owner=owner)

    def __enter__(self) -> World:
        self.queue.start()
        self.webhooks.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.painter.gate.set()
        self.queue.stop(timeout=10)
        self.webhooks.stop()
