"""A workbench for tests: the real engine with the tiny model, driven directly."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from modules.core import device
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate import run
from modules.generate.moments import Moments
from modules.generate.postprocess import Steps
from modules.generate.request import Txt2Img
from modules.generate.save import Album
from modules.generate.scripts.axes import Axes
from modules.generate.scripts.registry import Menus, Scripts
from modules.generate.studio import Studio
from modules.imaging.inputs import Inputs
from modules.loading.approx import ApproxFiles
from modules.loading.faces import FaceRestorers
from modules.loading.library import Library
from modules.loading.shelf import Shelf
from modules.loading.tiny import TinyFiles
from modules.loading.upscale.catalog import Upscalers
from modules.networks.apply import Networks
from modules.plugins import loading
from modules.plugins.api import ExtensionApi
from modules.plugins.extension import Extension
from modules.plugins.house import House
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import builtin
from modules.settings import builtin as settings_table
from modules.settings.options import Options, Snapshot
from tests.reference.cases import SHARED, SHIPPED

MODELS = Path(__file__).resolve().parent / "reference" / "models"
NETWORKS = next((root for root in (SHIPPED / "models", SHARED / "models") if (root / "Lora").is_dir()), MODELS)
"""Where the reference's networks lie: those shipped with the repository first."""

DEFAULT_MODEL = Path(__file__).resolve().parents[1] / "models" / "Stable-diffusion" / "easel-scenes.safetensors"
"""The model that ships with Easel: 128 x 128 drawings."""

EXTENSIONS = Path(__file__).resolve().parents[1] / "extensions"
MENUS = Menus(samplers=tuple, schedulers=tuple, checkpoints=tuple, find_checkpoint=str)

OTHERS = sorted((SHARED / "models" / "Stable-diffusion").glob("*.safetensors"))
"""Checkpoints of the other families, where the whole reference is there."""


class Silent:
    """A Control that nobody watches. interrupt_at / skip_at: the step of the first batch after which it stops."""

    def __init__(self, *, interrupt_at: int | None = None, skip_at: int | None = None, watching: bool = False) -> None:
        self.interrupted = self.skipped = False
        self.steps: list[int] = []
        self.batches: list[int] = []
        self.previews: list[Image.Image] = []
        self._interrupt_at, self._skip_at, self._watching = interrupt_at, skip_at, watching

    def begin(self, *, batches: int, steps: int) -> None:
        self.total = batches * steps

    def batch(self, index: int) -> None:
        self.skipped = False
        self.batches.append(index)

    def step(self, done: int) -> None:
        self.steps.append(done)
        if len(self.batches) == 1:
            self.interrupted = self.interrupted or done == self._interrupt_at
            self.skipped = self.skipped or done == self._skip_at

    def text(self, text: str) -> None:
        pass

    def watched(self) -> bool:
        return self._watching

    def preview(self, image: Image.Image) -> None:
        self.previews.append(image)


class Bench:
    """Makes pictures. `kept` has what was recorded for the history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.moments = Moments()
        self.scripts = Scripts()
        self.network_words: set[str] = set()
        self.registry = settings_table.registry()
        self.library = Library(
            [MODELS / "Stable-diffusion"],
            Store(folder / "bench.sqlite"),
            files=[DEFAULT_MODEL, *(path for path in OTHERS if path.name != "tiny-sd1.safetensors")],
            vae_folders=[folder / "VAE", SHIPPED / "models" / "VAE", SHARED / "models" / "VAE"],
        )
        self.studio = Studio(
            library=self.library,
            catalog=builtin(),
            shelf=Shelf(device.choose(use_cpu=["all"])),
            moments=self.moments,
            networks=Networks(
                loras=[folder / "Lora", NETWORKS / "Lora"],
                hypernetworks=[folder / "hypernetworks", NETWORKS / "hypernetworks"],
                embeddings=[folder / "embeddings", NETWORKS / "embeddings"],
                store=Store(folder / "networks.sqlite"),
                others=self.network_words,
            ),
            styles=StyleBook(root / "models" / "styles.csv" for root in (SHARED, SHIPPED)),
            tiny=TinyFiles(folder / "VAE-taesd"),
            approx=ApproxFiles(folder / "VAE-approx"),
            upscalers=Upscalers({}, lambda part: device.choose(use_cpu=["all"])),
            faces=FaceRestorers(
                {name: (folder / name,) for name in ("GFPGAN", "Codeformer")},
                lambda part: device.choose(use_cpu=["all"]),
            ),
            inputs=Inputs(folder / "inputs"),
            version="test",
            asked=functools.partial(self.scripts.asked, MENUS),
        )
        self._jobs = itertools.count()

    @property
    def house(self) -> House:
        """What extensions are handed."""
        return House(
            moments=self.moments,
            options=Options(self.registry, self.folder / "config.json"),
            catalog=self.studio.catalog,
            upscalers=self.studio.upscalers,
            scripts=self.scripts,
            menus=MENUS,
            axes=Axes(()),
            steps=Steps(()),
            captioners={},
            network_words=self.network_words,
            studio=lambda: self.studio,
            data=self.folder,
        )

    @contextlib.contextmanager
    def extended(self, name: str) -> Iterator[ExtensionApi]:
        """With an extension of extensions/ loaded."""
        extension = Extension(name=name, folder=EXTENSIONS / name)
        api = ExtensionApi(extension, self.house)
        loading.register(extension)(api)
        try:
            yield api
        finally:
            api.withdraw()
            loading.forget(extension)

    def options(self, changes: Mapping[str, Any]) -> Snapshot:
        return Snapshot(self.registry).overlay({"sd_model_checkpoint": "tiny-sd1", **changes})

    def make(self, request: Txt2Img, control: Silent | None = None, **options: Any) -> JsonObject:
        """A job's result."""
        album = Album(
            data=self.folder / "data",
            spool=self.folder / "spool" / str(next(self._jobs)),
            moments=self.moments,
            record=lambda plan, kept: None,
        )
        settings = self.options({**request.override_settings, **options})
        return run.make(self.studio, request, settings, control or Silent(), album)

    def images(self, request: Txt2Img, control: Silent | None = None, **options: Any) -> list[Image.Image]:
        """The pictures of a job, read back from their files."""
        return [Image.open(each["path"]) for each in self.make(request, control, **options)["pictures"]]
