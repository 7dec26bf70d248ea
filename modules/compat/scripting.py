"""`scripts`: A1111's Script class and the runners that drive scripts through a job.

A runner has the scripts of one tab. `page` has it build their widgets, `pipeline` calls its hooks as a job goes on.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
import re
from collections import namedtuple
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modules.compat import callbacks as script_callbacks
from modules.compat import room as rooms
from modules.core.errors import Interrupted

if TYPE_CHECKING:
    from modules.compat.room import Room

log = logging.getLogger(__name__)

__all__ = ["AlwaysVisible", "OnComponent", "Script", "ScriptRunner", "basedir", "script_callbacks"]

AlwaysVisible = object()
"""What show() returns for a script that runs with every job."""

ScriptFile = namedtuple("ScriptFile", ["basedir", "filename", "path"])
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])


class MaskBlendArgs:
    def __init__(
        self,
        current_latent: Any,
        nmask: Any,
        init_latent: Any,
        mask: Any,
        blended_latent: Any,
        denoiser: Any = None,
        sigma: Any = None,
    ) -> None:
        self.current_latent, self.nmask, self.init_latent, self.mask = current_latent, nmask, init_latent, mask
        self.blended_latent, self.denoiser, self.sigma = blended_latent, denoiser, sigma
        self.is_final_blend = denoiser is None


class PostSampleArgs:
    def __init__(self, samples: Any) -> None:
        self.samples = samples


class PostprocessImageArgs:
    def __init__(self, image: Any) -> None:
        self.image = image


class PostProcessMaskOverlayArgs:
    def __init__(self, index: int, mask_for_overlay: Any, overlay_image: Any) -> None:
        self.index, self.mask_for_overlay, self.overlay_image = index, mask_for_overlay, overlay_image


class PostprocessBatchListArgs:
    def __init__(self, images: list[Any]) -> None:
        self.images = images


@dataclasses.dataclass
class OnComponent:
    """A widget that the page made."""

    component: Any


class Script:
    """Base of all scripts. Subclasses override what they need."""

    name: str | None = None
    section: str | None = None
    filename: str | None = None
    args_from: int | None = None
    args_to: int | None = None
    alwayson = False
    is_txt2img = False
    is_img2img = False
    tabname: str | None = None
    group: Any = None
    create_group = True
    infotext_fields: Any = None
    paste_field_names: Any = None
    pasted_controls: list[Any] = []  # noqa: RUF012  (replaced, never changed)
    api_info: Any = None
    on_before_component_elem_id: Any = None
    on_after_component_elem_id: Any = None
    setup_for_ui_only = False
    controls: Any = None
    sorting_priority = 0

    def title(self) -> str:
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any:
        pass

    def show(self, is_img2img: bool) -> Any:
        return True

    def run(self, p: Any, *args: Any) -> Any:
        pass

    def setup(self, p: Any, *args: Any) -> None:
        pass

    def before_process(self, p: Any, *args: Any) -> None:
        pass

    def process(self, p: Any, *args: Any) -> None:
        pass

    def before_process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def after_extra_networks_activate(self, p: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def process_before_every_sampling(self, p: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def postprocess_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def postprocess_batch_list(self, p: Any, pp: PostprocessBatchListArgs, *args: Any, **kwargs: Any) -> None:
        pass

    def on_mask_blend(self, p: Any, mba: MaskBlendArgs, *args: Any) -> None:
        pass

    def post_sample(self, p: Any, ps: PostSampleArgs, *args: Any) -> None:
        pass

    def postprocess_image(self, p: Any, pp: PostprocessImageArgs, *args: Any) -> None:
        pass

    def postprocess_maskoverlay(self, p: Any, ppmo: PostProcessMaskOverlayArgs, *args: Any) -> None:
        pass

    def postprocess_image_after_composite(self, p: Any, pp: PostprocessImageArgs, *args: Any) -> None:
        pass

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        pass

    def before_hr(self, p: Any, *args: Any) -> None:
        pass

    def before_component(self, component: Any, **kwargs: Any) -> None:
        pass

    def after_component(self, component: Any, **kwargs: Any) -> None:
        pass

    def on_before_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        """callback(OnComponent) before the widget of this id is made."""
        self.on_before_component_elem_id = [*(self.on_before_component_elem_id or []), (elem_id, callback)]

    def on_after_component(self, callback: Callable[..., Any], *, elem_id: str) -> None:
        """callback(OnComponent) after the widget of this id is made."""
        self.on_after_component_elem_id = [*(self.on_after_component_elem_id or []), (elem_id, callback)]

    def describe(self) -> str:
        return ""

    def elem_id(self, item_id: str) -> str:
        """An element id that no other script has."""
        need_tabname = self.show(True) == self.show(False)
        tabkind = "img2img" if self.is_img2img else "txt2img"
        tabname = f"{tabkind}_" if need_tabname else ""
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title().lower()))
        return f"script_{tabname}{title}_{item_id}"


class ScriptBuiltinUI(Script):
    setup_for_ui_only = True

    def elem_id(self, item_id: str) -> str:
        tabname = ("img2img" if self.is_img2img else "txt2img") + "_" if self.is_img2img != self.is_txt2img else ""
        return f"{tabname}{item_id}"


scripts_data: list[Any] = []
"""Every Script class that was loaded, and the module it came from."""
postprocessing_scripts_data: list[Any] = []

scripts_current: Any = None


def basedir() -> str:
    """The folder of the extension that is being loaded; the program's at any other time."""
    room = rooms.current()
    return str(room.loading or room.app.paths.root)


def list_scripts(scriptdirname: str, extension: str, *, include_extensions: bool = True) -> list[Any]:
    """Files with this ending in the folders of this name of all loaded extensions."""
    found = []
    for each in rooms.current().loaded if include_extensions else ():
        folder = os.path.join(each.path, scriptdirname)
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                path = os.path.join(folder, name)
                if os.path.splitext(name)[1].lower() == extension and os.path.isfile(path):
                    found.append(ScriptFile(str(each.path), name, path))
    return found


def list_files_with_name(filename: str) -> list[str]:
    """Files of this name at the top of all loaded extensions."""
    paths = [os.path.join(each.path, filename) for each in rooms.current().loaded]
    return [path for path in paths if os.path.isfile(path)]


def wrap_call(func: Any, filename: str, funcname: str, *args: Any, default: Any = None, **kwargs: Any) -> Any:
    """The call's answer; a failing one is reported and gives `default`."""
    try:
        return func(*args, **kwargs)
    except Interrupted:
        raise
    except Exception:
        log.exception("%s: %s failed.", filename, funcname)
        rooms.current().failed(filename, funcname)
        return default


class ScriptRunner:
    """The scripts of a tab. inputs: their widgets one after the other, place 0 being the menu of chosen scripts."""

    def __init__(self, room: Room | None = None, *, is_img2img: bool = False) -> None:
        self._room = room
        self.is_img2img = is_img2img
        self.scripts: list[Script] = []
        self.selectable_scripts: list[Script] = []
        self.alwayson_scripts: list[Script] = []
        self.titles: list[str] = []
        self.infotext_fields: list[Any] = []
        self.paste_field_names: list[str] = []
        self.inputs: list[Any] = [None]
        self.callback_map: dict[str, Any] = {}
        self.built = False

    @property
    def tab(self) -> str:
        return "img2img" if self.is_img2img else "txt2img"

    def initialize_scripts(self, is_img2img: bool) -> None:
        """One of each class that shows on this tab."""
        self.is_img2img = is_img2img
        self.scripts, self.alwayson_scripts, self.selectable_scripts = [], [], []
        for data in list(scripts_data):
            try:
                self._add(data)
            except Exception:
                log.exception("%s: the script %s cannot be made.", data.path, data.script_class.__name__)
        self.titles = [self.title_of(script) for script in self.selectable_scripts]

    def adopt(self, basedir: str) -> list[Script]:
        """One of each class that was loaded from this folder -> those that show on this tab."""
        from modules.compat import gradio3

        before = list(self.scripts)
        for data in [each for each in scripts_data if each.basedir == basedir]:
            try:
                with gradio3.speaking(self._room), gradio3.guest():  # some make widgets before their ui() is asked for
                    self._add(data)
            except Exception:
                log.exception("%s: the script %s cannot be made.", data.path, data.script_class.__name__)
        self.titles = [self.title_of(script) for script in self.selectable_scripts]
        return [script for script in self.scripts if script not in before]

    def forget(self, basedir: str) -> None:
        """Let the scripts of a folder go; the places of their arguments stay empty."""
        for name in ("scripts", "alwayson_scripts", "selectable_scripts"):
            kept = [each for each in getattr(self, name) if not (each.filename or "").startswith(basedir)]
            setattr(self, name, kept)
        self.titles = [self.title_of(script) for script in self.selectable_scripts]

    def _add(self, data: Any) -> None:
        script = data.script_class()
        script.filename = data.path
        script.is_txt2img = not self.is_img2img
        script.is_img2img = self.is_img2img
        script.tabname = self.tab
        visibility = script.show(self.is_img2img)
        if visibility is AlwaysVisible or visibility == "AlwaysVisible":
            script.alwayson = True
            self.alwayson_scripts.append(script)
        elif visibility:
            self.selectable_scripts.append(script)
        else:
            return
        script.name = self.title_of(script).lower()
        self.scripts.append(script)

    def title_of(self, script: Script) -> str:
        return str(wrap_call(script.title, script.filename or "", "title", default="") or f"{script.filename} (error)")

    def script(self, title: str) -> Script | None:
        """By title, in any case."""
        wanted = title.lower()
        return next((each for each in self.scripts if (each.name or "") == wanted), None)

    def build(self, script: Script, register: Callable[[Any], None] | None = None) -> list[Any]:
        """Make a script's widgets inside the open Gradio context, once; they take the next places of `inputs`."""
        if script.args_from is not None:
            return list(self.inputs[script.args_from : script.args_to])
        from gradio.context import Context

        from modules.compat import gradio3, pasting

        first = Context.id
        with gradio3.kept_place():
            controls = wrap_call(script.ui, script.filename or "", "ui", self.is_img2img)
        script.controls = list(controls or [])
        script.args_from = len(self.inputs)
        self.inputs += script.controls
        script.args_to = len(self.inputs)
        for control in script.controls:
            control.custom_script_source = os.path.basename(script.filename or "")
        script.pasted_controls = pasting.further(script, first)
        self.infotext_fields += script.infotext_fields or []
        self.paste_field_names += script.paste_field_names or []
        return script.controls

    def build_all(self) -> None:
        """The widgets of those that have none yet, on a page that nobody sees: for their number and defaults."""
        if all(script.args_from is not None for script in self.scripts):
            return
        import gradio as gr

        from modules.compat import gradio3

        with gradio3.speaking(self._room), gradio3.guest(), gr.Blocks(analytics_enabled=False):
            for script in (*self.alwayson_scripts, *self.selectable_scripts):
                with gr.Group():
                    self.build(script)

    def defaults(self) -> list[Any]:
        """`script_args` of a request that says nothing."""
        self.build_all()
        return [0, *(default_of(control) for control in self.inputs[1:])]

    def setup_ui(self) -> list[Any]:
        self.build_all()
        return self.inputs

    def prepare_ui(self) -> None:
        self.build_all()

    # --- a job goes on

    def run(self, p: Any, *args: Any) -> Any:
        """Run the script that place 0 of the arguments chooses -> Processed, or None for none."""
        index = args[0] if args else 0
        if not index or index > len(self.selectable_scripts):
            return None
        script = self.selectable_scripts[index - 1]
        return script.run(p, *args[script.args_from : script.args_to])

    def _each(self, hook: str, p: Any, *first: Any, **named: Any) -> None:
        for script in self.alwayson_scripts:
            if getattr(type(script), hook, None) is getattr(Script, hook, None) and hook not in vars(script):
                continue
            arguments = (p.script_args or [])[script.args_from : script.args_to]
            wrap_call(getattr(script, hook), script.filename or "", hook, p, *first, *arguments, **named)

    def setup_scrips(self, p: Any) -> None:
        for script in self.alwayson_scripts:
            if script.setup_for_ui_only:
                continue
            arguments = (p.script_args or [])[script.args_from : script.args_to]
            wrap_call(script.setup, script.filename or "", "setup", p, *arguments)

    def wants(self, hook: str) -> bool:
        """Whether any script of the tab overrides it."""
        return any(getattr(type(each), hook, None) is not getattr(Script, hook) for each in self.alwayson_scripts)

    def before_process(self, p: Any) -> None:
        self._each("before_process", p)

    def process(self, p: Any) -> None:
        self._each("process", p)

    def before_process_batch(self, p: Any, **kwargs: Any) -> None:
        self._each("before_process_batch", p, **kwargs)

    def after_extra_networks_activate(self, p: Any, **kwargs: Any) -> None:
        self._each("after_extra_networks_activate", p, **kwargs)

    def process_batch(self, p: Any, **kwargs: Any) -> None:
        self._each("process_batch", p, **kwargs)

    def process_before_every_sampling(self, p: Any, **kwargs: Any) -> None:
        self._each("process_before_every_sampling", p, **kwargs)

    def before_hr(self, p: Any) -> None:
        self._each("before_hr", p)

    def on_mask_blend(self, p: Any, mba: MaskBlendArgs) -> None:
        self._each("on_mask_blend", p, mba)

    def post_sample(self, p: Any, ps: PostSampleArgs) -> None:
        self._each("post_sample", p, ps)

    def postprocess_batch(self, p: Any, images: Any, **kwargs: Any) -> None:
        self._each("postprocess_batch", p, images=images, **kwargs)

    def postprocess_batch_list(self, p: Any, pp: PostprocessBatchListArgs, **kwargs: Any) -> None:
        self._each("postprocess_batch_list", p, pp, **kwargs)

    def postprocess_image(self, p: Any, pp: PostprocessImageArgs) -> None:
        self._each("postprocess_image", p, pp)

    def postprocess_maskoverlay(self, p: Any, ppmo: PostProcessMaskOverlayArgs) -> None:
        self._each("postprocess_maskoverlay", p, ppmo)

    def postprocess_image_after_composite(self, p: Any, pp: PostprocessImageArgs) -> None:
        self._each("postprocess_image_after_composite", p, pp)

    def postprocess(self, p: Any, processed: Any) -> None:
        self._each("postprocess", p, processed)

    # --- the page is built

    def before_component(self, component: Any, **kwargs: Any) -> None:
        for script in self.scripts:
            for elem_id, callback in script.on_before_component_elem_id or ():
                if elem_id == kwargs.get("elem_id"):
                    wrap_call(callback, script.filename or "", "on_before_component", OnComponent(component=component))
            wrap_call(script.before_component, script.filename or "", "before_component", component, **kwargs)

    def after_component(self, component: Any, **kwargs: Any) -> None:
        for script in self.scripts:
            for elem_id, callback in script.on_after_component_elem_id or ():
                if elem_id == kwargs.get("elem_id"):
                    wrap_call(callback, script.filename or "", "on_after_component", OnComponent(component=component))
            wrap_call(script.after_component, script.filename or "", "after_component", component, **kwargs)

    def reload_sources(self, cache: Any) -> None:
        """Scripts are loaded once."""

    def create_script_runner(self) -> ScriptRunner:
        return ScriptRunner(self._room, is_img2img=self.is_img2img)


def default_of(control: Any) -> Any:
    """What a script is given for a widget as it begins; a value that is a function is called."""
    value = getattr(control, "value", None)
    return given(control, value() if inspect.isfunction(value) else value)


def given(control: Any, value: Any) -> Any:
    """What a script is given of a widget with this value: of a choice by index it is the index."""
    if getattr(control, "type", None) != "index" or isinstance(value, int):
        return value
    names = [each[1] if isinstance(each, list | tuple) else each for each in getattr(control, "choices", None) or ()]
    if isinstance(value, list):
        return [names.index(each) for each in value if each in names]
    return names.index(value) if value in names else value


def __getattr__(name: str) -> Any:
    live = {"scripts_txt2img": "txt2img", "scripts_img2img": "img2img"}
    if name in live:
        return rooms.current().runner(live[name])
    if name == "scripts_postproc":
        from modules.compat import postprocessing

        return postprocessing.runner()
    if name in ("shared", "paths", "errors", "script_loading", "timer", "extensions", "util"):
        import importlib

        return importlib.import_module(f"modules.{name}")
    if name == "ScriptPostprocessing":
        from modules.compat import postprocessing

        return postprocessing.ScriptPostprocessing
    raise AttributeError(f"modules.scripts has no {name}")
