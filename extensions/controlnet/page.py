"""The accordion of both tabs: a tab for each unit, with the well-known extension's element ids.

The values of all widgets go to `gather`, which makes units of them; `spread` is its inverse for pasted infotexts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from modules.core.errors import EaselError
from modules.imaging.inputs import Inputs
from modules.imaging.reading import read_picture
from modules.web.ui.form import QUIET, seen

from . import catalogue, infotext, preprocessors, routes
from .files import Files
from .preprocessors import Slider
from .units import HIRES, MODES, RESIZE, Unit

FIELDS = (
    "enabled",
    "low_vram",
    "pixel_perfect",
    "image",
    "mask",
    "module",
    "model",
    "weight",
    "guidance_start",
    "guidance_end",
    "processor_res",
    "threshold_a",
    "threshold_b",
    "control_mode",
    "resize_mode",
    "hr_option",
)
"""Of a unit, in the order of its widgets."""
_RUN, _REFRESH = "💥", "🔄"


def build(tab: str, files: Files, count: int) -> list[Any]:
    """The widgets of so many units, in order."""
    found: list[Any] = []
    with gr.Tabs(elem_id=f"{tab}_controlnet_tabs"):
        for number in range(count):
            with gr.Tab(f"ControlNet Unit {number}", elem_classes=["cnet-unit-tab"]):
                found += _unit(tab, number, files)
    return found


def gather(values: Sequence[Any], inputs: Inputs) -> list[Any]:
    """Values of all widgets -> units that are on, None for the others. Raises BadRequest for damaged pictures."""
    units: list[Any] = []
    for start in range(0, len(values), len(FIELDS)):
        unit = dict(zip(FIELDS, values[start : start + len(FIELDS)], strict=True))
        on = bool(unit["enabled"])
        units.append({name: _kept(name, value, inputs) for name, value in unit.items()} if on else None)
    while units and units[-1] is None:
        units.pop()
    return units


def spread(told: Mapping[str, Any], count: int) -> dict[int, Any]:
    """What an infotext tells of the units -> values of widgets by place. Others are switched off."""
    found: dict[int, Any] = {}
    for number in range(count):
        start, unit = number * len(FIELDS), told.get(f"unit{number}")
        found[start] = unit is not None
        if unit is not None:
            read = Unit.read(unit)
            for name in infotext.FIELDS:
                value = getattr(read, name)
                found[start + FIELDS.index(name)] = _label(value) if name == "module" else value
    return found


def _label(module: str) -> str:
    return preprocessors.find(module).label


def _kept(name: str, value: Any, inputs: Inputs) -> Any:
    if name not in ("image", "mask") or not value:
        return value or None if name in ("image", "mask") else value
    return inputs.add(Path(value).read_bytes(), field=name)


def _unit(tab: str, number: int, files: Files) -> list[Any]:
    place = f"{tab}_controlnet_ControlNet-{number}"
    way = preprocessors.find("none")
    with gr.Row(equal_height=True):
        image = _picture("Image", f"{place}_input_image")
        mask = _picture("Mask: white may change", f"{place}_mask_image")
        preview = gr.Image(
            label="Preprocessor preview", elem_id=f"{place}_generated_image", interactive=False, visible=seen(False)
        )
    with gr.Row():
        enabled = _box("Enable", f"{place}_controlnet_enable_checkbox")
        low_vram = _box("Low VRAM", f"{place}_controlnet_low_vram_checkbox")
        exact = _box("Pixel perfect", f"{place}_controlnet_pixel_perfect_checkbox")
    kind = gr.Radio(
        catalogue.types(),
        value=catalogue.ALL,
        label="Control type",
        elem_id=f"{place}_controlnet_type_filter_radio",
    )
    with gr.Row():
        labels = [each.label for each in catalogue.ways(catalogue.ALL)]
        module = _menu("Preprocessor", labels, f"{place}_controlnet_preprocessor_dropdown")
        run = gr.Button(_RUN, elem_id=f"{place}_controlnet_trigger_preprocessor", min_width=40, scale=0)
        model = _menu("Model", files.names(), f"{place}_controlnet_model_dropdown")
        refresh = gr.Button(_REFRESH, elem_id=f"{place}_controlnet_refresh_models", min_width=40, scale=0)
    with gr.Row():
        weight = gr.Slider(
            0, 2, 1, step=0.05, label="Control weight", elem_id=f"{place}_controlnet_control_weight_slider"
        )
        start = gr.Slider(
            0, 1, 0, step=0.01, label="Starting control step", elem_id=f"{place}_controlnet_start_control_step_slider"
        )
        end = gr.Slider(
            0, 1, 1, step=0.01, label="Ending control step", elem_id=f"{place}_controlnet_ending_control_step_slider"
        )
    names = ("preprocessor_resolution", "threshold_A", "threshold_B")
    with gr.Row():
        sliders = [
            gr.Slider(**_facts(slider), elem_id=f"{place}_controlnet_{name}_slider")
            for slider, name in zip((way.resolution, way.a, way.b), names, strict=True)
        ]
    mode = _choice("Control mode", MODES, MODES[0], f"{place}_controlnet_control_mode_radio")
    resize = _choice("Resize mode", RESIZE, RESIZE[1], f"{place}_controlnet_resize_mode_radio")
    hires = _choice("Hires fix", HIRES, HIRES[0], f"{place}_controlnet_hr_option_radio")
    kind.change(lambda chosen: _offered(chosen, files), [kind], [module, model], **QUIET)
    module.change(_slid, [module], sliders, **QUIET)
    refresh.click(lambda chosen: _refreshed(chosen, files), [kind], [model], **QUIET)
    run.click(_previewed, [image, mask, module, *sliders], [preview], **QUIET)
    return [enabled, low_vram, exact, image, mask, module, model, weight, start, end, *sliders, mode, resize, hires]


def _picture(label: str, elem_id: str) -> Any:
    """The file as it is: nothing is lost on the way."""
    return gr.Image(
        label=label,
        elem_id=elem_id,
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        interactive=True,
        height=240,
    )


def _box(label: str, elem_id: str) -> Any:
    return gr.Checkbox(False, label=label, elem_id=elem_id)


def _menu(label: str, choices: Sequence[str], elem_id: str) -> Any:
    return gr.Dropdown(list(choices), value=choices[0], label=label, allow_custom_value=True, elem_id=elem_id)


def _choice(label: str, choices: Sequence[str], value: str, elem_id: str) -> Any:
    return gr.Radio(list(choices), value=value, label=label, elem_id=elem_id)


def _facts(slider: Slider) -> dict[str, Any]:
    """A slider's widget; one that is not wanted says -1, its preprocessor's default."""
    if not slider.label:
        return {"minimum": -1, "maximum": 1, "value": -1, "label": "-", "visible": seen(False)}
    return {
        "minimum": slider.least,
        "maximum": slider.most,
        "value": slider.value,
        "step": slider.step,
        "label": slider.label,
        "visible": seen(True),
    }


def _offered(kind: str, files: Files) -> list[Any]:
    found = catalogue.entry(kind, files.names())
    module = gr.update(choices=found["module_list"], value=found["default_option"])
    return [module, gr.update(choices=found["model_list"], value=found["default_model"])]


def _refreshed(kind: str, files: Files) -> Any:
    return gr.update(choices=catalogue.models(kind, files.names(update=True)))


def _slid(module: str) -> list[Any]:
    """The sliders of a preprocessor."""
    try:
        way = preprocessors.find(module)
    except EaselError:
        return [gr.skip(), gr.skip(), gr.skip()]
    return [gr.update(**_facts(each)) for each in (way.resolution, way.a, way.b)]


def _previewed(image: str | None, mask: str | None, module: str, resolution: float, a: float, b: float) -> Any:
    """The map, or why there is none."""
    if not image:
        raise gr.Error("Give the unit an image first.")
    try:
        unit = Unit(module=module, processor_res=int(resolution), threshold_a=a, threshold_b=b)
        made = routes.mapped(_opened(image), _opened(mask) if mask else None, unit)
    except EaselError as error:
        raise gr.Error(str(error)) from error
    return gr.update(value=made, visible=seen(True))


def _opened(path: str) -> Image.Image:
    return read_picture(Path(path).read_bytes(), field="image")
