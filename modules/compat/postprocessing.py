"""`scripts_postprocessing`: extensions' steps of the Extras tab, as rows of Easel's own table of steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modules.compat import room as rooms
from modules.compat import scripting, values
from modules.generate.postprocess import Arguments, Piece, Step, Tools

if TYPE_CHECKING:
    from modules.compat.room import Room

log = logging.getLogger(__name__)


class PostprocessedImageSharedInfo:
    target_width: int | None = None
    target_height: int | None = None


class PostprocessedImage:
    """A picture on its way: image, info for its infotext, caption, parts of its file's name."""

    def __init__(self, image: Any) -> None:
        self.image = image
        self.info: dict[str, Any] = {}
        self.shared = PostprocessedImageSharedInfo()
        self.extra_images: list[Any] = []
        self.nametags: list[str] = []
        self.disable_processing = False
        self.caption: str | None = None

    def get_suffix(self, used_suffixes: dict[str, int] | None = None) -> str:
        suffix = "-".join(self.nametags)
        suffix = f"-{suffix}" if suffix else ""
        if used_suffixes is None or suffix not in used_suffixes:
            if used_suffixes is not None:
                used_suffixes[suffix] = 1
            return suffix
        used_suffixes[suffix] += 1
        return f"{suffix}-{used_suffixes[suffix] - 1}"

    def create_copy(self, new_image: Any, *, nametags: Any = None, disable_processing: bool = False) -> Any:
        made = PostprocessedImage(new_image)
        made.shared, made.nametags = self.shared, [*self.nametags, *(nametags or ())]
        made.info, made.disable_processing = dict(self.info), disable_processing
        return made


class ScriptPostprocessing:
    """A step. ui() -> name -> widget; process(pp, **values)."""

    filename: str | None = None
    controls: Any = None
    args_from: int | None = None
    args_to: int | None = None
    name: str | None = None
    order = 1000
    group: Any = None
    tab_name = "extras"

    def ui(self) -> Any:
        pass

    def process(self, pp: PostprocessedImage, **args: Any) -> None:
        pass

    def process_firstpass(self, pp: PostprocessedImage, **args: Any) -> None:
        pass

    def image_changed(self) -> None:
        pass


class Runner:
    """The steps that were loaded."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.scripts: list[ScriptPostprocessing] = []

    def scripts_in_preferred_order(self) -> list[ScriptPostprocessing]:
        return sorted(self.scripts, key=lambda each: each.order)

    def setup_ui(self) -> list[Any]:
        return []

    def image_changed(self) -> None:
        for each in self.scripts:
            each.image_changed()


def runner() -> Runner:
    room = rooms.current()
    found: Runner | None = getattr(room, "_postprocessing", None)
    if found is None:
        found = Runner(room)
        room._postprocessing = found  # type: ignore[attr-defined]
    return found


def install(room: Room, basedir: str) -> list[Callable[[], None]]:
    """Make steps of the classes of a folder and put them into the program's table -> what takes them out."""
    found = [data for data in scripting.postprocessing_scripts_data if data.basedir == basedir]
    if not found:
        return []
    import gradio as gr

    from modules.compat import gradio3

    mine, undo = runner(), list[Any]()
    with gradio3.speaking(room), gradio3.guest(), gr.Blocks(analytics_enabled=False):
        for data in found:
            try:
                script = data.script_class()
                script.filename = data.path
                controls = script.ui() or {}
            except Exception:
                log.exception("%s: a step of the Extras tab cannot be made.", data.path)
                continue
            script.controls = controls
            mine.scripts.append(script)
            try:
                undo.append(room.app.steps.add(_step(room, script)))
            except ValueError as error:
                log.warning("%s: %s", data.path, error)
    return undo


def _step(room: Room, script: ScriptPostprocessing) -> Step:
    def build() -> dict[str, Any]:
        """Its widgets once more, in the page."""
        from modules.compat import gradio3

        with gradio3.speaking(room), gradio3.guest():
            script.controls = script.ui() or {}
        return dict(script.controls)

    return Step(
        name=script.name or type(script).__name__,
        order=int(script.order),
        run=_worker(room, script, "process"),
        look=_worker(room, script, "process_firstpass"),
        defaults={name: scripting.default_of(control) for name, control in script.controls.items()},
        wanted=lambda asked: True,
        build=build if script.controls else None,
        encode=lambda value: values.encoded(room, value),
    )


def _worker(room: Room, script: ScriptPostprocessing, method: str) -> Any:
    def work(piece: Piece, asked: Arguments, tools: Tools, /) -> None:
        pp = PostprocessedImage(piece.image)
        pp.info, pp.nametags = piece.info, piece.tags
        pp.caption, pp.disable_processing = piece.caption, piece.finished
        if piece.target:
            pp.shared.target_width, pp.shared.target_height = piece.target
        known = {name: values.decoded(room, asked[name]) for name in script.controls if name in asked}
        scripting.wrap_call(getattr(script, method), script.filename or "", method, pp, **known)
        piece.image, piece.info, piece.tags = pp.image, pp.info, pp.nametags
        piece.caption, piece.finished = pp.caption or "", pp.disable_processing
        if pp.shared.target_width and pp.shared.target_height:
            piece.target = (pp.shared.target_width, pp.shared.target_height)
        for extra in pp.extra_images:
            more = extra if isinstance(extra, PostprocessedImage) else PostprocessedImage(extra)
            piece.more.append(
                Piece(image=more.image, info=more.info, tags=list(more.nametags), finished=more.disable_processing)
            )

    return work
