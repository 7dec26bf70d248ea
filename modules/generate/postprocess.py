"""What is done to a finished picture: upscaling, faces, crops, copies, captions. A table of steps, in A1111's order.

`extras` runs the chain; extensions add steps. A step changes the `Piece` it is given: its picture, what its infotext
says, how its file is called; it may add further pieces, which the steps after it get too.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from modules.core.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from modules.generate.scripts.registry import Argument
    from modules.loading.faces import FaceRestorers
    from modules.loading.upscale.catalog import OnTile, Upscalers

Arguments = Mapping[str, Any]
Captioner = Callable[[Image.Image], str]


@dataclasses.dataclass(kw_only=True)
class Piece:
    """A picture on its way. info: what its infotext says, in order; target: width and height that it shall have, for
    the cropping steps, None = unknown; more: pieces made of it; tags: parts of its file's name; finished: later steps
    leave it alone; caption: for a text file beside it.
    """

    image: Image.Image
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    target: tuple[int, int] | None = None
    more: list[Piece] = dataclasses.field(default_factory=list)
    tags: list[str] = dataclasses.field(default_factory=list)
    finished: bool = False
    caption: str = ""

    def copy(self, image: Image.Image, *, tag: str = "", finished: bool = False) -> Piece:
        """Another picture with the same past."""
        tags = [*self.tags, tag] if tag else list(self.tags)
        return Piece(image=image, info=dict(self.info), target=self.target, tags=tags, finished=finished)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tools:
    """What steps work with. options: as they were when the job was queued; on_tile: progress of an upscaler, raises
    Interrupted; captioners: by name, none built in; notes: comments for the person who asked.
    """

    options: Mapping[str, Any]
    upscalers: Upscalers
    faces: FaceRestorers
    captioners: Mapping[str, Captioner] = dataclasses.field(default_factory=dict)
    on_tile: OnTile | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class Work(Protocol):
    """What a step does to a piece. Raises BadRequest, NotFound, DamagedFile, EaselError, Interrupted."""

    def __call__(self, piece: Piece, asked: Arguments, tools: Tools, /) -> None: ...


def _nothing(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
    pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A row. name: A1111's; order: small ones first; defaults: its arguments and their values; wanted: whether these
    arguments ask for anything; check: raises before the job is queued what `run` would raise; look: called for the
    first piece before any step runs.

    parameters: arguments that are described: their defaults, ends and menus are those of their widgets in the Extras
    tab, and values are held to them. build: makes the widgets itself with Gradio inside the open tab -> argument ->
    component; encode: the value of such a one -> JSON.
    """

    name: str
    order: int
    run: Work
    defaults: Arguments = dataclasses.field(default_factory=dict)
    wanted: Callable[[Arguments], bool] = lambda asked: bool(asked.get("enable"))
    check: Callable[[Arguments, Tools], None] = lambda asked, tools: None
    look: Work = _nothing
    parameters: Sequence[Argument] = ()
    build: Callable[[], Mapping[str, Any]] | None = None
    encode: Callable[[Any], Any] = lambda value: value

    @property
    def usual(self) -> dict[str, Any]:
        """Every argument with its usual value."""
        return {**{each.name: each.default for each in self.parameters}, **self.defaults}

    def read(self, given: Arguments) -> dict[str, Any]:
        """All arguments, those given checked. Raises BadRequest."""
        described = {each.name: each for each in self.parameters}
        read = self.usual
        for name, value in given.items():
            field = f"steps.{self.name}.{name}"
            if name in described:
                read[name] = described[name].within(value, field=field)
            elif self.build is not None or alike(read.get(name), value):
                read[name] = value
            else:
                raise BadRequest(f"{field}: wants a value such as {read[name]!r}.", field=field)
        return read


def alike(usual: Any, value: Any) -> bool:
    """Whether a value is of the kind of the usual one; None is of every kind."""
    if usual is None or isinstance(usual, bool):
        return usual is None or isinstance(value, bool)
    if isinstance(usual, int | float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(usual, tuple | list):
        return isinstance(value, tuple | list)
    return value is None or isinstance(value, type(usual))


class Steps:
    """All of them. Safe from any thread."""

    def __init__(self, rows: Iterable[Step]) -> None:
        self._rows = tuple(rows)
        self._guard = threading.Lock()

    def names(self) -> list[str]:
        return [row.name for row in self._rows]

    def add(self, step: Step) -> Callable[[], None]:
        """Add a row; returns the function that takes it out again. Raises ValueError for a name that is taken."""
        with self._guard:
            if step.name.casefold() in {row.name.casefold() for row in self._rows}:
                raise ValueError(f'The name "{step.name}" is taken.')
            self._rows = (*self._rows, step)

        def remove() -> None:
            with self._guard:
                self._rows = tuple(row for row in self._rows if row is not step)

        return remove

    def in_order(self, options: Mapping[str, Any]) -> list[Step]:
        """Those that the options leave in: first as `postprocessing_operation_order` says, then by order and name."""
        first: Sequence[str] = options["postprocessing_operation_order"]
        out = set(options["postprocessing_disable_in_extras"])

        def place(row: Step) -> tuple[int, int, str]:
            return first.index(row.name) if row.name in first else len(first), row.order, row.name

        return sorted((row for row in self._rows if row.name not in out), key=place)

    def asked(self, wishes: Mapping[str, Arguments], options: Mapping[str, Any]) -> list[tuple[Step, Arguments]]:
        """The steps that a request names, in order, each with all its arguments. Raises NotFound, BadRequest."""
        known = {row.name for row in self._rows}
        for name, given in wishes.items():
            if name not in known:
                raise NotFound("Postprocessing step", name, self.names(), field="steps")
            if not isinstance(given, Mapping):
                raise BadRequest(f'steps: the arguments of "{name}" must be an object.', field="steps")
        rows = [row for row in self.in_order(options) if row.name in wishes]
        return [(row, row.read(wishes[row.name])) for row in rows]


def chain(first: Piece, asked: Sequence[tuple[Step, Arguments]], tools: Tools) -> list[Piece]:
    """Run the steps over a piece and all that come of it -> the pieces, the first one first."""
    for step, arguments in asked:
        step.look(first, arguments, tools)
    pieces = [first]
    for step, arguments in asked:
        if not step.wanted(arguments):
            continue
        for piece in tuple(pieces):
            if not piece.finished:
                step.run(piece, arguments, tools)
            pieces += piece.more
            piece.more = []
    return pieces


def check(asked: Sequence[tuple[Step, Arguments]], tools: Tools) -> None:
    """Raise now what the steps would raise later: unknown names, files that are not there."""
    for step, arguments in asked:
        if step.wanted(arguments):
            step.check(arguments, tools)
