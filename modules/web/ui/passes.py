"""The parts of a form that open with a tick: hires fix and the refiner. `tab` begins the element ids, as A1111's do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.web.ui.form import QUIET, seen
from modules.web.ui.rows import Widgets, sampler_names, tool

if TYPE_CHECKING:
    from modules.samplers.catalog import Catalog
    from modules.web.services import Services

SAME = {"checkpoint": "Use same checkpoint", "sampler": "Use same sampler", "scheduler": "Use same scheduler"}
"""The first choice of menus of the second pass."""


@contextlib.contextmanager
def switch(label: str, elem_id: str, *, open: bool = False) -> Iterator[gr.Checkbox]:
    """A tick and what it opens; the caller fills that. The tick is what the form reads."""
    with gr.Column(elem_classes=["switch"]):
        tick = gr.Checkbox(open, label=label, elem_id=f"{elem_id}-checkbox")
        with gr.Group(visible=seen(open), elem_id=elem_id, elem_classes=["switched"]) as content:
            yield tick
    tick.change(lambda ticked: gr.update(visible=seen(ticked)), [tick], [content], **QUIET)


def hires(services: Services, catalog: Catalog) -> Widgets:
    """The second pass of txt2img, under A1111's labels."""
    menus = services.menus
    with switch("Hires. fix", "txt2img_hr") as tick:
        form: Widgets = {"enable_hr": tick}
        with gr.Row(elem_id="txt2img_hires_fix_row1"):
            upscalers = [*menus.latent_upscalers(), *menus.upscalers()]
            form["hr_upscaler"] = gr.Dropdown(upscalers, label="Upscaler", elem_id="txt2img_hr_upscaler", min_width=120)
            form["hr_second_pass_steps"] = gr.Slider(
                0, 150, 0, step=1, label="Hires steps", elem_id="txt2img_hires_steps", min_width=120
            )
            form["denoising_strength"] = gr.Slider(
                0, 1, 0.7, step=0.01, label="Denoising strength", elem_id="txt2img_denoising_strength", min_width=120
            )
        with gr.Row(elem_id="txt2img_hires_fix_row2"):
            form["hr_scale"] = gr.Slider(
                1, 4, 2.0, step=0.05, label="Upscale by", elem_id="txt2img_hr_scale", min_width=120
            )
            for field, side in (("hr_resize_x", "width"), ("hr_resize_y", "height")):
                form[field] = gr.Slider(
                    0, 2048, 0, step=8, label=f"Resize {side} to", elem_id=f"txt2img_{field}", min_width=120
                )
        form["hr_cfg"] = gr.Slider(
            0, 30, 0, step=0.5, label="Hires CFG Scale (0 = as above)", elem_id="txt2img_hr_cfg", min_width=120
        )
        gr.HTML(elem_id="txtimg_hr_finalres", elem_classes=["comments"])  # assets/page.js writes into it
        form |= _second_sampling(services, catalog)
        with gr.Row(elem_id="txt2img_hires_fix_row4"):
            for field, label, elem_id in (
                ("hr_prompt", "Hires prompt", "hires_prompt"),
                ("hr_negative_prompt", "Hires negative prompt", "hires_neg_prompt"),
            ):
                form[field] = gr.Textbox(
                    label=label, elem_id=elem_id, lines=2, placeholder=f"{label}: empty = as above", min_width=200
                )
    return form


def _second_sampling(services: Services, catalog: Catalog) -> Widgets:
    """Checkpoint, sampler and schedule of the second pass."""
    schedulers = [row.label for row in catalog.schedulers()]
    rows = (
        ("hr_checkpoint_name", "Hires checkpoint", "hr_checkpoint", SAME["checkpoint"], services.menus.checkpoints()),
        ("hr_sampler_name", "Hires sampling method", "hr_sampler", SAME["sampler"], sampler_names(services, catalog)),
        ("hr_scheduler", "Hires schedule type", "hr_scheduler", SAME["scheduler"], schedulers),
    )
    with gr.Row(elem_id="txt2img_hires_fix_row3"):
        made: Widgets = {
            field: gr.Dropdown([same, *names], value=same, label=label, elem_id=elem_id, min_width=120)
            for field, label, elem_id, same, names in rows
        }
        _refresh("hr_checkpoint_refresh", made["hr_checkpoint_name"], SAME["checkpoint"], services)
    return made


def _refresh(elem_id: str, menu: gr.Dropdown, first: str, services: Services) -> None:
    """A button that looks at the model folders again, for one menu."""

    def look() -> Any:
        services.library.refresh()
        return gr.update(choices=[first, *services.menus.checkpoints()])

    tool("🔄", elem_id).click(look, None, [menu], **QUIET)


def refiner(tab: str, services: Services) -> Widgets:
    """Another checkpoint for the last part of sampling."""
    with switch("Refiner", f"{tab}_enable") as tick, gr.Row():
        checkpoints = ["None", *services.menus.checkpoints()]
        menu = gr.Dropdown(checkpoints, value="None", label="Checkpoint", elem_id=f"{tab}_checkpoint", min_width=160)
        _refresh(f"{tab}_checkpoint_refresh", menu, "None", services)
        return {
            "enable_refiner": tick,
            "refiner_checkpoint": menu,
            "refiner_switch_at": gr.Slider(
                0.01, 1, 0.8, step=0.01, label="Switch at", elem_id=f"{tab}_switch_at", min_width=160
            ),
        }
