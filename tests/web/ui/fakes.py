"""A small running program for the page's tests: real settings and a real queue, a painter in place of the engine.

The painter "makes" each picture in as many steps as asked, obeys interrupt and skip, and writes PNGs with an infotext.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image, PngImagePlugin

from modules.core import device
from modules.core.errors import BadRequest, EaselError, NoCheckpoint, NotFound
from modules.core.paths import Paths
from modules.core.store import Store
from modules.generate.request import Generation
from modules.generate.scripts.builtin import scripts as builtin_scripts
from modules.generate.scripts.registry import Menus
from modules.imaging.inputs import Inputs
from modules.imaging.upscale import LATENT_MODES
from modules.jobs.history import History, Picture
from modules.jobs.progress import Control
from modules.jobs.queue import Queue, Runner
from modules.jobs.tally import Tally
from modules.jobs.trash import Trash
from modules.jobs.webhooks import Webhooks
from modules.loading.describers import Describers
from modules.loading.vaes import VaeFile
from modules.networks.apply import Networks
from modules.networks.training_desk import TrainingDesk
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog, builtin
from modules.settings import builtin as builtin_options
from modules.settings.flags import Flags
from modules.settings.options import Options
from modules.web.services import Readiness, Services
from modules.web.webhooks import Sender
from tests.web.extras_desk import ExtrasDesk


@dataclasses.dataclass(frozen=True, kw_only=True)
class FakeCheckpoint:
    """A model file as the library lists it."""

    name: str
    problem: str | None = None
    native_size: int = 512
    guidance: float = 7.0
    family: str | None = "sd1"
    folder: Path = Path("nowhere")

    @property
    def title(self) -> str:
        return f"{self.name} [0123456789]"

    @property
    def short_name(self) -> str:
        return Path(self.name).stem

    @property
    def path(self) -> Path:
        return self.folder / self.name


class NoVaes:
    """No separate VAE file."""

    def all(self) -> list[VaeFile]:
        return []


class FakeLibrary:
    """Checkpoints by name; `arriving` are found at the next refresh."""

    def __init__(self, *names: str, folder: Path, broken: tuple[FakeCheckpoint, ...] = ()) -> None:
        self.folder = folder
        self.names = list(names)
        self.arriving: list[str] = []
        self.broken = list(broken)
        self.vaes = NoVaes()

    def refresh(self) -> None:
        self.names += self.arriving
        self.arriving = []

    def checkpoints(self) -> list[FakeCheckpoint]:
        return [FakeCheckpoint(name=name, folder=self.folder) for name in self.names]

    def problems(self) -> list[FakeCheckpoint]:
        return self.broken

    def find(self, name: str) -> FakeCheckpoint:
        for checkpoint in self.checkpoints():
            if name in (checkpoint.name, checkpoint.title):
                return checkpoint
        raise NotFound("Checkpoint", name, self.names, field="sd_model_checkpoint")

    def chosen(self, name: str | None) -> FakeCheckpoint:
        if not self.names:
            raise NoCheckpoint("There is no checkpoint yet.")
        return self.find(name) if name else self.checkpoints()[0]


class Painter:
    """The runner. `gate`, while cleared, holds every step, in which whoever watches sees a preview; skipping goes
    through it, interrupting waits. A prompt with "fail" in it fails.
    """

    def __init__(self, folder: Path, history: History, *, pace: float = 0.0) -> None:
        self.folder = folder
        self.history = history
        self.pace = pace
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, request: dict[str, Any], control: Control) -> dict[str, Any]:
        if "fail" in request["prompt"]:
            raise EaselError("The painter has run out of <colour>.")
        control.begin(batches=request["n_iter"], steps=request["steps"])
        pictures = []
        first = request["seed"] if request["seed"] >= 0 else 4242
        for batch in range(request["n_iter"]):
            control.batch(batch)
            self.steps(request, control)
            pictures.append(self.write(request, control.job_id, batch, first + batch))
            if control.interrupted:
                break
        seeds = [first + number for number in range(len(pictures))]
        info = {"all_seeds": seeds, "all_subseeds": [seed + 100 for seed in seeds], "index_of_first_image": 0}
        info["infotexts"] = [picture["infotext"] for picture in pictures]
        return {"pictures": pictures, "info": info, "comments": ["Painted <b>by hand</b>."]}

    def steps(self, request: dict[str, Any], control: Control) -> None:
        for step in range(request["steps"]):
            while not self.gate.wait(1.0) and not control.skipped:
                self.show(step, control)
            if control.interrupted or control.skipped:
                return
            threading.Event().wait(self.pace)
            control.step(step + 1)
            self.show(step, control)

    def show(self, step: int, control: Control) -> None:
        if control.watched():
            control.preview(Image.new("RGB", (64, 64), (30 + 5 * step % 200, 90, 160)))

    def write(self, request: dict[str, Any], job: str, batch: int, seed: int) -> dict[str, Any]:
        size = (request["width"], request["height"])
        text = parameters(request, seed)
        info = PngImagePlugin.PngInfo()
        info.add_text("parameters", text)
        path = self.folder / f"{job}-{batch}.png"
        picture = Image.linear_gradient("L").resize(size)
        hue = Image.new("L", size, (seed * 37) % 256)
        Image.merge("RGB", (picture, hue, picture.rotate(180))).save(path, pnginfo=info)
        made = {"job_id": job, "path": str(path), "infotext": text, "seed": seed, "model": "tiny-sd1"}
        sampler, (width, height) = str(request["sampler_name"]), size
        self.history.add([Picture(**made, width=width, height=height, sampler=sampler)])
        return {"path": str(path), "infotext": text, "saved": True, "kind": "sample"}


def parameters(request: dict[str, Any], seed: int) -> str:
    """A1111's text for a fake picture."""
    negative = f"\nNegative prompt: {request['negative_prompt']}" if request["negative_prompt"] else ""
    return (
        f"{request['prompt']}{negative}\nSteps: {request['steps']}, Sampler: {request['sampler_name']}, "
        f"Schedule type: {request['scheduler']}, CFG scale: {request['cfg_scale']}, Seed: {seed}, "
        f"Size: {request['width']}x{request['height']}, RNG: NV, Version: v1.10.1"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """The services, and what the tests look at behind them; scripts: (script, arguments) of each request."""

    services: Services
    painter: Painter
    library: FakeLibrary
    requests: list[Generation]
    scripts: list[tuple[str | None, list[Any]]]
    close: Callable[[], None]


def world(
    folder: Path,
    *,
    names: tuple[str, ...] = ("tiny-sd1.safetensors", "sub/other.safetensors"),
    broken: tuple[FakeCheckpoint, ...] = (),
    frozen: tuple[str, ...] = (),
    pace: float = 0.0,
    flags: Flags | None = None,
    runners: Mapping[str, Runner] = MappingProxyType({}),
) -> World:
    """Everything under `folder`; the queue is at work until `close`. runners: for further kinds of jobs."""
    paths = Paths.make(root=folder)
    outputs = folder / "outputs"
    outputs.mkdir(parents=True, exist_ok=True)
    store = Store(folder / "easel.sqlite")
    history = History(store)
    painter = Painter(outputs, history, pace=pace)
    queue = Queue(
        store,
        {
            "txt2img": painter,
            "img2img": painter,
            "extras": lambda job, control: desk.run(job, control),
            "merge": lambda job, control: {"path": "merged.safetensors", "comments": [], "seconds": 0.1},
            **runners,
        },
    )
    library = FakeLibrary(*names, folder=paths.checkpoints[0], broken=broken)
    catalog: Catalog = builtin()
    registry = builtin_options.registry(
        samplers=[row.name for row in catalog.samplers()], schedulers=[row.label for row in catalog.schedulers()]
    )
    options = Options(registry, folder / "config.json", frozen=frozen)
    networks = Networks(loras=[folder / "Lora"], hypernetworks=(), embeddings=(), store=store)
    requests: list[Generation] = []
    scripts: list[tuple[str | None, list[Any]]] = []
    desk = ExtrasDesk(folder, options, queue)
    numbers = itertools.count(1)

    def submit(
        request: Generation,
        *,
        script: str | None = None,
        arguments: Sequence[Any] = (),
        id: str | None = None,
        owner: str = "",
    ) -> str:
        if request.width > 1024:
            raise BadRequest("width: at most 1024 in this test.", field="width")
        options.snapshot().overlay(request.override_settings)
        requests.append(request)
        scripts.append((script, list(arguments)))
        return queue.submit(request.kind, request.to_json(), id=id or f"job-{next(numbers)}", owner=owner)

    services = Services(
        flags=flags or Flags(),
        paths=paths,
        options=options,
        library=library,
        queue=queue,
        history=history,
        trash=Trash(history, folder / "trash"),
        tally=Tally(),
        webhooks=Sender(Webhooks(store), tell=lambda job, type: {}, forbid_local=lambda: True),
        readiness=lambda: Readiness(engine=True, model=False),
        version="0.0.test",
        submit=submit,
        inputs=Inputs(folder / "inputs"),
        submit_extras=desk.submit,
        submit_merge=lambda request, **more: queue.submit("merge", request.to_json(), **more),
        upscalers=desk.upscalers,
        steps=desk.steps,
        faces=desk.faces,
        memory=dict,
        count_tokens=lambda text: (len(text.split()), 75),
        styles=StyleBook([folder / "styles.csv"]),
        menus=Menus(
            samplers=lambda: [row.name for row in catalog.samplers()],
            schedulers=lambda: [row.label for row in catalog.schedulers()],
            checkpoints=lambda: [entry.title for entry in library.checkpoints()],
            find_checkpoint=lambda name: library.find(name).title,
            latent_upscalers=lambda: tuple(LATENT_MODES),
        ),
        scripts=builtin_scripts(),
        networks=lambda: networks,
        embeddings=lambda: ([], []),
        training=TrainingDesk(
            library=library,
            chosen=lambda: None,
            folders={"embedding": folder / "embeddings", "hypernetwork": folder / "hypernetworks"},
            data=folder,
            templates=folder / "textual_inversion_templates",
            runs=folder / "training",
            root=folder,
            clear=lambda: None,
            queue=lambda: queue,
        ),
        describers=Describers(
            blip=folder, clip=folder, tagger=(folder,), lists=folder, placement=lambda: device.choose(use_cpu=["all"])
        ),
        end=lambda how: None,
        startup={},
        allowed_folders=(outputs, folder / "trash"),
    )
    queue.start()

    def close() -> None:
        painter.gate.set()
        queue.stop(5)
        store.close()

    return World(services=services, painter=painter, library=library, requests=requests, scripts=scripts, close=close)
