"""Gradio 3's spellings beside Gradio 6's, for widgets that A1111's extensions make.

Nothing of Gradio is replaced: names that Gradio 6 lacks are added once (`settle`), and while a page with extensions is
built (`speaking`) constructors and events take the old keywords too and tell A1111's component callbacks.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import logging
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.blocks import Block, BlockContext
from gradio.components.base import Component
from gradio.context import Context
from gradio.events import Dependency
from pydantic import BaseModel

from modules.compat import room as rooms
from modules.compat import stubs  # noqa: F401  (before any class is made of Gradio's)

if TYPE_CHECKING:
    from modules.compat.room import Room

log = logging.getLogger(__name__)

_state = threading.local()


# --- names that Gradio 6 lacks


def settle() -> None:
    """Add what is missing, once; it may stay, for nothing else has these names."""
    if hasattr(gr, "Box"):
        return
    from modules.compat.components import Box

    gr.Box = Box
    gr.components.IOComponent = Component
    gr.Image.__new__ = staticmethod(_image_or_sketch(gr.Image, _sketch_class()))
    gr.components.Box = gr.Box
    _more_names()
    Block.update = classmethod(_update_of)
    Block.style = _style
    Block.get_component_class_id = classmethod(_class_id(Block.get_component_class_id.__func__))
    gr.inputs = types.SimpleNamespace(**{name: _old(name) for name in _OLD_NAMES})
    gr.outputs = types.SimpleNamespace(**{name: _old(name) for name in _OLD_NAMES})
    events = __import__("gradio.events", fromlist=["Events"])
    for old, _ in _OLD_EVENTS.items():
        if not hasattr(events, old):
            setattr(events, old, type(old, (), {}))
    if not hasattr(gr.components, "FormComponent"):
        gr.components.FormComponent = __import__("gradio.components.base", fromlist=["FormComponent"]).FormComponent


def _more_names() -> None:
    """Gradio 3's other names of what is still there, and its module of layouts."""
    gr.Variable, gr.Pil, gr.ImagePaint = gr.State, gr.Image, gr.Paint
    gr.Webcam = gr.WebcamImage = functools.partial(gr.Image, sources=["webcam"])
    for name in ("Box", "Row", "Column", "Group", "Accordion", "Tab", "TabItem", "Tabs", "Variable"):
        setattr(gr.components, name, getattr(gr, name))
    gr.layout = types.ModuleType("gradio.layout")
    vars(gr.layout).update({name: getattr(gr, name) for name in ("Box", "Row", "Column", "Group", "Accordion", "Tabs")})
    gr.layout.Tab = gr.layout.TabItem = gr.Tab
    sys.modules.setdefault("gradio.layout", gr.layout)
    if not hasattr(BaseModel, "__config__"):
        type.__setattr__(BaseModel, "__config__", type("Config", (), {}))  # pydantic 1's, made a base of


_OLD_NAMES = (
    *("Textbox", "Number", "Slider", "Checkbox", "CheckboxGroup", "Radio", "Dropdown", "Image", "Video", "Audio"),
    *("File", "Dataframe", "HTML", "Label", "JSON", "Plot"),
)
_OLD_EVENTS = {
    "Releaseable": "release",
    "Changeable": "change",
    "Clickable": "click",
    "Submittable": "submit",
    "Selectable": "select",
    "Uploadable": "upload",
    "Inputable": "input",
    "Blurrable": "blur",
    "Clearable": "clear",
}


def _old(name: str) -> Callable[..., Any]:
    def make(*arguments: Any, **keywords: Any) -> Any:
        kind = getattr(gr, name)
        return kind(*arguments, **translated(kind, keywords))

    return make


def _update_of(cls: type, *arguments: Any, **keywords: Any) -> Any:
    """`gr.X.update(…)`: its first place is the value, or for menus the choices."""
    names = ("choices", "value") if cls.__name__ in ("Dropdown", "Radio", "CheckboxGroup") else ("value",)
    keywords = {**dict(zip(names, arguments, strict=False)), **keywords}
    return gr.update(**{key: value for key, value in keywords.items() if key not in _DROPPED})


def _class_id(before: Callable[[type], str]) -> Callable[[type], str]:
    def named(cls: type) -> str:
        """Gradio asks for the class's file, which one of a script that is not among sys.modules does not tell."""
        try:
            return before(cls)
        except TypeError:
            return hashlib.sha256(f"{cls.__module__}.{cls.__qualname__}".encode()).hexdigest()

    return named


def _style(self: Any, **keywords: Any) -> Any:
    """`.style(…)`: what Gradio 6 knows as attributes is set, the rest is looks that have gone."""
    if "grid" in keywords:
        keywords["columns"] = keywords.pop("grid")
    for name in ("height", "columns", "rows", "container", "equal_height", "variant", "object_fit", "show_label"):
        if name in keywords and hasattr(self, name):
            value = keywords[name]
            value = max(value) if isinstance(value, list | tuple) and value else value
            setattr(self, name, value)
    return self


# --- old keywords


_DROPPED = {
    *("tooltip", "mirror_webcam", "brush_radius", "brush_color", "mask_opacity", "shape", "invert_colors"),
    *(
        "show_download_button",
        "show_share_button",
        "show_copy_button",
        "size_hint",
        "max_rows",
        "overflow_row_behaviour",
    ),
}
_RENAMED = {
    "Slider": {"min": "minimum", "max": "maximum", "default": "value"},
    "Checkbox": {"default": "value"},
    "Textbox": {"default": "value"},
    "Dropdown": {"default": "value"},
    "Gallery": {"grid": "columns"},
}


def translated(kind: type, keywords: dict[str, Any]) -> dict[str, Any]:
    """A constructor's keywords in Gradio 6's words; what it has no word for is left out."""
    made = dict(keywords)
    for old, new in next((_RENAMED[each.__name__] for each in kind.__mro__ if each.__name__ in _RENAMED), {}).items():
        if old in made:
            made.setdefault(new, made.pop(old))
    if "source" in made:
        source = made.pop("source")
        made.setdefault("sources", ["upload"] if source in ("canvas", None) else [source])
    if isinstance(made.get("columns"), list | tuple):
        made["columns"] = max(made["columns"])
    made.pop("tool", None)
    known = _parameters(kind)
    if known is None:
        return {key: value for key, value in made.items() if key not in _DROPPED}
    for key in [key for key in made if key not in known]:
        log.debug("gr.%s(%s=) means nothing any more.", kind.__name__, key)
        del made[key]
    return made


@functools.cache
def _parameters(kind: type) -> frozenset[str] | None:
    """What a class's constructor takes; None where it takes anything."""
    names: set[str] = set()
    parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    for each in parameters:
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            return None
        names.add(each.name)
    return frozenset(names)


def sketched(value: Any) -> Any:
    """What an editor gives -> what `gr.Image(tool="sketch")` gave: {"image": …, "mask": …}, as arrays or pictures."""
    import numpy as np
    from PIL import Image

    picture = None if value is None else value.get("background")
    if picture is None:
        return None
    layers = [layer for layer in value.get("layers") or () if layer is not None]
    if isinstance(picture, np.ndarray):
        alpha = np.zeros(picture.shape[:2], np.uint8)
        for layer in layers:
            alpha = np.maximum(alpha, layer[..., 3])
        mask = np.repeat(alpha[..., None], 3, axis=2)
        return {"image": picture[..., :3], "mask": np.concatenate([mask, np.full_like(mask[..., :1], 255)], axis=2)}
    painted = Image.new("L", picture.size)
    for layer in layers:
        painted.paste(255, mask=layer.getchannel("A"))
    return {"image": picture.convert("RGB"), "mask": painted.convert("RGBA")}


def _sketch_class() -> type:
    class ImageEditor(gr.ImageEditor):  # its name is that of the widget that the page shows
        def preprocess(self, payload: Any) -> Any:
            return sketched(super().preprocess(payload))

    return ImageEditor


# --- while a page is built


@contextlib.contextmanager
def speaking(room: Room | None = None) -> Iterator[None]:
    """Old spellings work, and component callbacks are called. May be entered twice."""
    settle()
    if getattr(_state, "depth", 0):
        yield
        return
    _state.depth, _state.making, _state.guest = 1, [], 0
    undo: list[Callable[[], None]] = []
    try:
        for kind in _classes():
            _teach(kind, undo)
        _teach_dependencies(undo)
        yield
    finally:
        for back in reversed(undo):
            back()
        _state.depth = 0


@contextlib.contextmanager
def guest() -> Iterator[None]:
    """An extension makes widgets: what it hides stays in the page, a menu without a value has none."""
    before = getattr(_state, "guest", 0)
    _state.guest = before + 1
    try:
        yield
    finally:
        _state.guest = before


@contextlib.contextmanager
def kept_place() -> Iterator[None]:
    """Where the page is being built stays the same, whatever fails inside: a `Blocks` of an extension that ends with an
    error would leave none.
    """
    before = Context.block, Context.root_block
    try:
        yield
    finally:
        Context.block, Context.root_block = before


def _classes() -> list[type]:
    found: dict[int, type] = {}
    open_: list[type] = [Component, BlockContext]
    while open_:
        kind = open_.pop()
        if id(kind) not in found:
            found[id(kind)] = kind
            open_ += kind.__subclasses__()
    return [kind for kind in found.values() if kind.__module__.startswith(("gradio", "modules.compat"))]


def _set(kind: Any, name: str, value: Any, undo: list[Callable[[], None]]) -> None:
    own = name in vars(kind)
    before = vars(kind).get(name)
    setattr(kind, name, value)
    undo.append(lambda: setattr(kind, name, before) if own else delattr(kind, name))


def _teach(kind: type, undo: list[Callable[[], None]]) -> None:
    """A class's constructor and events take the old keywords."""
    if kind is gr.Blocks:
        _set(kind, "__init__", _blocks(vars(kind)["__init__"]), undo)
    elif "__init__" in vars(kind) and kind not in (Component, BlockContext, Block):
        _set(kind, "__init__", _constructor(kind, vars(kind)["__init__"]), undo)
    for event in {str(each) for each in getattr(kind, "EVENTS", ())}:
        listener = vars(kind).get(event)
        if callable(listener):
            _set(kind, event, _listener(listener), undo)


def _blocks(before: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(before)
    def make(self: Any, *arguments: Any, **keywords: Any) -> None:
        if getattr(_state, "guest", 0):
            keywords = {key: value for key, value in keywords.items() if key in _OF_BLOCKS}
        before(self, *arguments, **keywords)

    return make


_OF_BLOCKS = {"analytics_enabled", "mode", "title", "fill_height", "fill_width", "delete_cache", "elem_id", "visible"}


def _listener(before: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(before)
    def listen(*arguments: Any, **keywords: Any) -> Any:
        return _taught(before(*arguments, **_of_event(keywords)))

    return listen


def _of_event(keywords: dict[str, Any]) -> dict[str, Any]:
    made = dict(keywords)
    if "_js" in made:
        script = made.pop("_js")
        made.setdefault("js", script)
    made.pop("status_tracker", None)
    made.pop("every", None)
    if isinstance(made.get("show_progress"), bool):
        made["show_progress"] = "full" if made["show_progress"] else "hidden"
    if getattr(_state, "guest", 0):
        made.setdefault("api_visibility", "private")
        made.pop("api_name", None)
    return made


def _taught(dependency: Any) -> Any:
    """`.then(_js=…)` and its kin."""
    for name in ("then", "success", "failure"):
        before = getattr(dependency, name, None)
        if before is not None and not getattr(before, "taught", False):
            after = _listener(_named(before))
            after.taught = True  # type: ignore[attr-defined]
            setattr(dependency, name, after)
    return dependency


def _named(partial: Any) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        return partial(*arguments, **keywords)

    return call


def _teach_dependencies(undo: list[Callable[[], None]]) -> None:
    before = Dependency.__init__

    @functools.wraps(before)
    def make(self: Any, *arguments: Any, **keywords: Any) -> None:
        before(self, *arguments, **keywords)
        _taught(self)

    _set(Dependency, "__init__", make, undo)


def _image_or_sketch(plain: type, sketch: type) -> Callable[..., Any]:
    def new(cls: type, *arguments: Any, **keywords: Any) -> Any:
        if cls is plain and keywords.get("tool") in ("sketch", "color-sketch", "select"):
            return sketch(*arguments, **{key: each for key, each in keywords.items() if key != "image_mode"})
        return object.__new__(cls)

    return new


def _constructor(kind: type, before: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(before)
    def make(self: Any, *arguments: Any, **keywords: Any) -> None:
        making = getattr(_state, "making", None)
        if making is None or any(each is self for each in making):
            before(self, *arguments, **keywords)
            return
        wanted = translated(kind, keywords)
        if getattr(_state, "guest", 0):
            wanted = _as_guest(kind, arguments, wanted)
        told = {key: value for key, value in keywords.items() if key not in ("tool", "source")}
        making.append(self)
        try:
            tell("before", self, told)
            before(self, *arguments, **wanted)
        finally:
            making.remove(self)
        tell("after", self, {"elem_id": getattr(self, "elem_id", None), **told})

    return make


def _as_guest(kind: type, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    made = dict(keywords)
    if made.get("visible") is False:
        made["visible"] = "hidden"
    if kind in (gr.Textbox, gr.HTML, gr.Markdown) and "value" not in made and not arguments:
        made["value"] = ""  # Gradio 3's beginning
    if issubclass(kind, gr.Dropdown) and "value" not in made and len(arguments) < 2:
        made["value"] = None
    if issubclass(kind, gr.Dropdown | gr.Radio) and isinstance(made.get("value"), int):
        choices = list(made.get("choices") or ())
        if made.get("type") == "index" and made["value"] not in choices and made["value"] < len(choices):
            made["value"] = choices[made["value"]]
    return made


def tell(when: str, component: Any, keywords: dict[str, Any]) -> None:
    """Call on_before_component / on_after_component of callbacks and of the scripts of the tab being built."""
    try:
        room = rooms.current()
    except Exception:
        return
    if when == "after" and keywords.get("elem_id") and not getattr(_state, "guest", 0):
        room.widgets[keywords["elem_id"]] = component
    room.callbacks.call(f"{when}_component", component, **keywords)
    runner = _runner(room)
    if runner is not None:
        getattr(runner, f"{when}_component")(component, **keywords)


def _runner(room: Room) -> Any:
    """The runner of the tab whose widgets are being made."""
    block = Context.block
    while block is not None:
        tab = str(getattr(block, "elem_id", "") or "")
        if tab in ("tab_txt2img", "tab_img2img"):
            return room.runner(tab.removeprefix("tab_"))
        block = getattr(block, "parent", None)
    return None
