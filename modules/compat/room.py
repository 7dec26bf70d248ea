"""What A1111 keeps in module globals, in one object: the program, the job under way, what extensions registered.

`install.install(app)` makes the room; the modules of `names/` ask `room.current()` for it. There is one at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import EaselError

if TYPE_CHECKING:
    from PIL import Image

    from modules.compat.floor import Floor
    from modules.compat.loader import Loaded
    from modules.compat.options import Opts
    from modules.compat.scripting import ScriptRunner
    from modules.compat.state import State
    from modules.generate.plan import Plan
    from modules.generate.scripts.context import Context
    from modules.generate.studio import Studio
    from modules.loading.loader import Model

log = logging.getLogger(__name__)


@dataclasses.dataclass
class Frame:
    """One pass through `generate.run` as A1111's code sees it. p: its processing object; overrides: settings that code
    wrote meanwhile; pictures: path -> picture, of what was kept; parent: the frame of the job that began this one.
    """

    p: Any
    parent: Frame | None = None
    plan: Plan | None = None
    model: Model | None = None
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    pictures: dict[str, Image.Image] = dataclasses.field(default_factory=dict)
    saving: Any = None
    step: int = 0
    steps: int = 0
    alone: bool = False
    rows: Any = None
    sampler: Any = None
    processed: Any = None


class _Thread(threading.local):
    frame: Frame | None = None
    pending: Any = None
    context: Context | None = None
    control: Any = None


class Room:
    """app: the program (see `install.App` for what is used of it)."""

    def __init__(self, app: Any) -> None:
        from modules.compat.callbacks import Callbacks
        from modules.compat.options import Opts
        from modules.compat.scripting import ScriptRunner
        from modules.compat.state import State

        self.app = app
        self.thread = _Thread()
        self.callbacks = Callbacks()
        self.opts: Opts = Opts(self)
        self.state: State = State(self)
        self.arguments: dict[str, Any] = {}
        self.loading: Path | None = None
        self.loaded: list[Loaded] = []
        self.undo: list[Any] = []
        self.txt2img: ScriptRunner = ScriptRunner(self, is_img2img=False)
        self.img2img: ScriptRunner = ScriptRunner(self, is_img2img=True)
        self.last_model: object = None
        self.facades: dict[str, Any] = {}
        """Path of a checkpoint -> what extensions see of it."""
        self.unet: tuple[Any, Any] = (None, None)
        """The chosen `SdUnetOption` and its network."""
        self.failures: dict[str, list[str]] = {}
        """File of an extension -> what of it failed, with the traceback; the last ten of each."""
        self.listening = False
        self.demo: Any = None
        self.widgets: dict[str, Any] = {}
        """Element id -> widget, of the page's own."""
        self.declared: dict[int, Any] = {}
        self.owners: dict[str, str] = {}
        """Key of a setting -> the file or folder that declared it."""

    @property
    def floor(self) -> Floor:
        floor: Floor = self.app.floor
        return floor

    @property
    def studio(self) -> Studio:
        studio: Studio = self.app.studio
        return studio

    @property
    def frame(self) -> Frame | None:
        """The job that the calling thread works on."""
        return self.thread.frame

    def failed(self, file: str, what: str) -> None:
        """Remember the error that is being handled."""
        told = self.failures.setdefault(file, [])
        told.append(f"{what}: {traceback.format_exc()}")
        del told[:-10]

    def of_guest(self, file: str) -> bool:
        """Whether a file is an extension's."""
        return any(file.startswith(f"{each.path}{os.sep}") for each in self.loaded)

    def runner(self, tab: str) -> ScriptRunner:
        return self.img2img if tab == "img2img" else self.txt2img

    @contextlib.contextmanager
    def owning(self, path: str) -> Iterator[None]:
        """Settings that become known meanwhile were declared by this file or folder."""
        before = set(self.app.options.registry)
        try:
            yield
        finally:
            self.owners |= {key: path for key in self.app.options.registry if key not in before}

    @contextlib.contextmanager
    def making(self, p: Any, control: Any = None) -> Iterator[None]:
        """What `generate.run` plans next in this thread is this processing object's."""
        before, waiting, wire = self.thread.frame, self.thread.pending, self.thread.control
        self.thread.pending, self.thread.control = p, control or wire
        try:
            yield
        finally:
            self.thread.frame, self.thread.pending, self.thread.control = before, waiting, wire

    @contextlib.contextmanager
    def scripting(self, context: Context) -> Iterator[None]:
        """A chosen script runs in this thread: `process_images` makes its cells."""
        before, self.thread.context = self.thread.context, context
        try:
            yield
        finally:
            self.thread.context = before


_room: Room | None = None


def current() -> Room:
    """The room. Raises EaselError where it is not installed."""
    if _room is None:
        raise EaselError("A1111's modules are there only while Easel runs with its compatibility layer installed.")
    return _room


def enter(room: Room | None) -> None:
    """Make this the room."""
    global _room
    _room = room
