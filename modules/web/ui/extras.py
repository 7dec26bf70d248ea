"""The Extras tab: enlarge, repair and cut pictures that exist. Built by `page`; the work is `generate.extras`.

A tick and a few widgets for each postprocessing step; those of extensions describe theirs, or make them themselves.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import BadRequest, EaselError
from modules.generate.extras import Extras
from modules.generate.extras_jobs import Upload
from modules.web.ui import elements, markup, scripts
from modules.web.ui.form import QUIET, Updates
from modules.web.ui.generation import make_screen
from modules.web.ui.passes import switch
from modules.web.ui.rows import Widgets
from modules.web.ui.screen import OWNER, Screen, buttons, panel

if TYPE_CHECKING:
    from modules.generate.postprocess import Step
    from modules.web.services import Services

log = logging.getLogger(__name__)
SINGLE, BATCH, FOLDER = range(3)
"""Where the pictures come from, in the order of the tabs."""
UPSCALE = "Upscale"
Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """steps: "<step>/<argument>" -> widget; source: number of the tab with the pictures; encode: step -> what makes
    JSON of a value of its widgets.
    """

    services: Services
    source: gr.State
    image: gr.Image
    files: gr.File
    input_dir: gr.Textbox
    output_dir: gr.Textbox
    show: gr.Checkbox
    steps: Widgets
    screen: Screen
    encode: Mapping[str, Callable[[Any], Any]]

    @property
    def inputs(self) -> set[Any]:
        """All widgets that a job is made of."""
        return {self.source, self.image, self.files, self.input_dir, self.output_dir, self.show, *self.steps.values()}

    async def generate(self, data: Mapping[Any, Any]) -> AsyncIterator[Updates]:
        """Queue what the form says and follow it; what is wrong with the form is said in the log."""
        try:
            job_id = await asyncio.to_thread(self.submit, data)
        except EaselError as error:
            yield {self.screen.panel.log: markup.error(str(error))}
            return
        async for updates in self.screen.show(job_id):
            yield updates

    def submit(self, data: Mapping[Any, Any]) -> str:
        """The widgets' values -> job id. Raises BadRequest, NotFound."""
        source = data[self.source] or SINGLE
        request = Extras(
            input_dir=(data[self.input_dir] or "").strip() if source == FOLDER else "",
            output_dir=(data[self.output_dir] or "").strip() if source == FOLDER else "",
            steps=self._encoded(asked({name: data[widget] for name, widget in self.steps.items()})),
            show=bool(data[self.show]),
        )
        if source == FOLDER and not request.input_dir:
            raise BadRequest("Name the folder with the pictures.", field="input_dir")
        paths = {SINGLE: [data[self.image]], BATCH: data[self.files] or [], FOLDER: []}[source]
        return self.services.submit_extras(request, self._uploads(paths, source), owner=OWNER)

    def _encoded(self, steps: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, encode in self.encode.items():
            if name in steps:
                steps[name] = {argument: encode(value) for argument, value in steps[name].items()}
        return steps

    def _uploads(self, paths: list[str | None], source: int) -> list[Upload]:
        found = [Path(path) for path in paths if path]
        if not found and source != FOLDER:
            raise BadRequest("There is no picture yet: drop one here, or send one from another tab.", field="image")
        return [Upload(data=path.read_bytes(), name=path.name) for path in found]


def asked(values: Values) -> dict[str, dict[str, Any]]:
    """ "<step>/<argument>" -> value, as what the job takes: step -> argument -> value."""
    steps: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        step, argument = name.split("/", 1)
        steps.setdefault(step, {})[argument] = value
    return steps


def build(services: Services) -> Tab:
    """Make the widgets, inside the tab that the caller has opened."""
    with gr.Row(elem_classes=["generation"]):
        with gr.Column(min_width=320):
            source, pictures = sources()
            steps = chain(services)
        with gr.Column(elem_id="extras_results", min_width=320):
            main = buttons("extras")
            shown = panel("extras")
    screen = make_screen(services, "extras", main, shown)
    encode = {step.name: step.encode for step in shown_steps(services) if step.build is not None}
    return Tab(services=services, source=source, steps=steps, screen=screen, encode=encode, **pictures)


def sources() -> tuple[gr.State, Widgets]:
    """One picture, some, or a folder of the server's."""
    source, made, opened = gr.State(SINGLE), {}, []
    with gr.Tabs(elem_id="mode_extras"):
        with gr.Tab("Single Image", id="single_image", elem_id="extras_single_tab") as tab:
            made["image"] = gr.Image(
                label="Source",
                elem_id="extras_image",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                buttons=[],
                height=400,
            )
        opened.append(tab)
        with gr.Tab("Batch Process", id="batch_process", elem_id="extras_batch_process_tab") as tab:
            made["files"] = gr.File(
                label="Batch Process", file_count="multiple", file_types=["image"], elem_id="extras_image_batch"
            )
        opened.append(tab)
        with gr.Tab("Batch from Directory", id="batch_from_directory", elem_id="extras_batch_directory_tab") as tab:
            made["input_dir"] = gr.Textbox(label="Input directory", elem_id="extras_batch_input_dir")
            made["output_dir"] = gr.Textbox(label="Output directory", elem_id="extras_batch_output_dir")
            made["show"] = gr.Checkbox(True, label="Show result images", elem_id="extras_show_extras_results")
        opened.append(tab)
    for number, tab in enumerate(opened):
        tab.select(_number(number), None, [source], **QUIET)
    return source, made


def _number(number: int) -> Callable[[], int]:
    return lambda: number


def shown_steps(services: Services) -> list[Step]:
    """In the order in which they are done."""
    return services.steps.in_order(services.options.snapshot())


def chain(services: Services) -> Widgets:
    """The widgets of all steps."""
    made: Widgets = {}
    for step in shown_steps(services):
        if step.name == UPSCALE:
            made |= upscale_rows(services)
        elif step.build is not None:
            made |= _built(step)
        else:
            made |= _rows(step)
    return made


def _rows(step: Step) -> Widgets:
    """A tick, and what it opens: a widget for each argument."""
    made: Widgets = {}
    known = elements.ORDER.index(step.name) if step.name in elements.ORDER else None
    slug = f"extras_{scripts.slug(step.name)}"
    described = {each.name: each for each in step.parameters}
    start = bool(step.usual.get("enable"))
    with switch(step.name, slug if known is None else f"input-accordion-{known}", open=start) as tick:
        made[f"{step.name}/enable"] = tick
        for argument, default in step.usual.items():
            if argument in described and argument != "enable":
                elem_id = f"{slug}_{scripts.slug(argument)}"
                made[f"{step.name}/{argument}"] = scripts.argument(described[argument], elem_id)
            elif argument != "enable":
                made[f"{step.name}/{argument}"] = _argument(step.name, argument, default)
    return made


def _built(step: Step) -> Widgets:
    """What it makes itself; where that fails the tab says so, and the others are there."""
    assert step.build is not None
    with gr.Column(elem_id=f"extras_{scripts.slug(step.name)}"):
        try:
            return {f"{step.name}/{argument}": widget for argument, widget in step.build().items()}
        except Exception as error:
            log.exception("The widgets of the step %s cannot be made.", step.name)
            gr.HTML(markup.error(f"{step.name}: its widgets cannot be made. {type(error).__name__}: {error}"))
            return {}


_CHOICES = {
    ("Create flipped copies", "option"): ["Horizontal", "Vertical", "Both"],
    ("Auto-sized crop", "objective"): ["Maximize area", "Minimize error"],
}


def _argument(step: str, argument: str, default: Any) -> Any:
    """The widget that A1111 has for it, or a plain one."""
    known, choices = elements.STEPS.get((step, argument)), _CHOICES.get((step, argument))
    if known is None:
        return _plain(argument, default, choices)
    if known.ends is not None:
        return gr.Slider(*known.ends, default, step=known.step, label=known.label, elem_id=known.id)
    made = _plain(argument, default, choices)
    made.label, made.elem_id = known.label, known.id
    return made


def _plain(argument: str, default: Any, choices: list[str] | None) -> Any:
    """A widget for an argument of which only the usual value is known."""
    label = argument.replace("_", " ").capitalize()
    if isinstance(default, bool):
        return gr.Checkbox(default, label=label)
    if isinstance(default, tuple | list):
        return gr.Dropdown(choices or [], value=list(default), multiselect=True, label=label)
    if choices:
        return gr.Radio(choices, value=default, label=label)
    if isinstance(default, float) and 0 <= default <= 1:
        return gr.Slider(0, 1, default, step=0.01, label=label)
    if isinstance(default, int | float):
        return gr.Number(default, label=label, precision=0 if isinstance(default, int) else None)
    return gr.Textbox(default or "", label=label)


def upscale_rows(services: Services) -> Widgets:
    """By a factor or to a size, with one upscaler or two blended."""
    names = services.upscalers.names()
    with switch(UPSCALE, "extras_upscale", open=True) as tick:
        made: Widgets = {"upscale_enabled": tick}
        with gr.Row():
            made["upscaler_1_name"] = gr.Dropdown(
                names, value=names[0], label="Upscaler 1", elem_id="extras_upscaler_1"
            )
            made["upscaler_2_name"] = gr.Dropdown(
                names, value=names[0], label="Upscaler 2", elem_id="extras_upscaler_2"
            )
        made["upscaler_2_visibility"] = gr.Slider(
            0, 1, 0.0, step=0.001, label="Upscaler 2 visibility", elem_id="extras_upscaler_2_visibility"
        )
        made["upscale_mode"] = gr.Radio(
            ["Scale by", "Scale to"], value="Scale by", type="index", label="Size", elem_id="extras_resize_mode"
        )
        with gr.Row() as by:
            made["upscale_by"] = gr.Slider(1, 8, 4.0, step=0.05, label="Resize", elem_id="extras_upscaling_resize")
            made["max_side_length"] = gr.Number(
                0, precision=0, minimum=0, label="Max side length", elem_id="extras_upscale_max_side_length"
            )
        with gr.Row(visible=False) as to:
            for side, elem_id in (("width", "extras_upscaling_resize_w"), ("height", "extras_upscaling_resize_h")):
                made[f"upscale_to_{side}"] = gr.Slider(64, 8192, 512, step=8, label=side.capitalize(), elem_id=elem_id)
            made["upscale_crop"] = gr.Checkbox(True, label="Crop to fit", elem_id="extras_upscaling_crop")
    made["upscale_mode"].change(
        lambda mode: (gr.update(visible=mode == 0), gr.update(visible=mode == 1)),
        [made["upscale_mode"]],
        [by, to],
        **QUIET,
    )
    return {f"{UPSCALE}/{name}": widget for name, widget in made.items()}


def wire(tab: Tab, page: gr.Blocks) -> None:
    """Connect the widgets with their handlers."""
    screen = tab.screen
    screen.wire()
    page.load(screen.reopen, None, screen.outputs, **QUIET)
    run = screen.buttons.generate.click(tab.generate, tab.inputs, screen.outputs, **QUIET)
    run.failure(screen.rest, None, screen.outputs, **QUIET)
