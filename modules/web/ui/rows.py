"""Rows of widgets that the generation tabs share. `tab` is the tab's name, "txt2img" or "img2img": element ids begin
with it, as A1111's do. Each gives the widgets of the form by field name, and where there are any the small tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.web.ui import checkpoints, markup
from modules.web.ui.form import seen

if TYPE_CHECKING:
    from modules.samplers.catalog import Catalog
    from modules.web.services import Services

Widgets = dict[str, Any]


def tool(symbol: str, elem_id: str) -> gr.Button:
    """A button as small as its symbol."""
    return gr.Button(symbol, elem_id=elem_id, elem_classes=["tool"], scale=0, min_width=40)


def prompts(tab: str) -> tuple[Widgets, Widgets]:
    """Prompt and negative prompt; the token counter of each is a tool."""
    form: Widgets = {}
    tools: Widgets = {}
    rows = (
        ("prompt", "counter", f"{tab}_prompt", f"{tab}_prompt_row", f"{tab}_token_counter", "Prompt"),
        (
            "negative_prompt",
            "negative_counter",
            f"{tab}_neg_prompt",
            f"{tab}_neg_prompt_row",
            f"{tab}_negative_token_counter",
            "Negative prompt",
        ),
    )
    with gr.Column(scale=6, elem_id=f"{tab}_prompt_container"):
        for field, counter, elem_id, row_id, counter_id, label in rows:
            with gr.Row(elem_id=row_id, elem_classes=["prompt-row"]):
                form[field] = gr.Textbox(
                    label=label,
                    show_label=False,
                    elem_id=elem_id,
                    elem_classes=["prompt"],
                    lines=3,
                    placeholder=f"{label}\n(Ctrl+Enter generates)",
                )
                tools[counter] = gr.HTML(
                    markup.token_counter(0, 75), elem_id=counter_id, elem_classes=["token-counter"]
                )
                button_id = counter_id.replace("token_counter", "token_button")
                tools[f"{counter}_again"] = gr.Button("Count", elem_id=button_id, visible="hidden")
    return form, tools


def sampler_names(services: Services, catalog: Catalog) -> list[str]:
    """The samplers that the menu offers: all but the hidden ones."""
    hidden = set(services.options.snapshot()["hide_samplers"])
    return [row.name for row in catalog.samplers() if row.name not in hidden]


def sampling(tab: str, services: Services, catalog: Catalog) -> Widgets:
    """Sampler, schedule and steps."""
    with gr.Row(elem_id=f"sampler_selection_{tab}"):
        return {
            "sampler": gr.Dropdown(
                sampler_names(services, catalog), label="Sampling method", elem_id=f"{tab}_sampling", min_width=120
            ),
            "scheduler": gr.Dropdown(
                [row.label for row in catalog.schedulers()],
                label="Schedule type",
                elem_id=f"{tab}_scheduler",
                min_width=120,
            ),
            "steps": gr.Slider(1, 150, 20, step=1, label="Sampling steps", elem_id=f"{tab}_steps", scale=2),
        }


def guidance(tab: str, services: Services) -> gr.Slider:
    """The CFG scale, beginning with what the chosen checkpoint asks for."""
    return gr.Slider(1, 30, checkpoints.guidance(services), step=0.5, label="CFG Scale", elem_id=f"{tab}_cfg_scale")


def size_and_batch(tab: str, services: Services) -> tuple[Widgets, Widgets]:
    """Width, height and the button that swaps them; batch count and size."""
    most, native = services.flags.max_batch_count, checkpoints.native_size(services)
    with gr.Row(elem_classes=["dimensions"]):
        with gr.Column(elem_id=f"{tab}_column_size", scale=4, min_width=200):
            width = gr.Slider(64, 2048, native, step=8, label="Width", elem_id=f"{tab}_width")
            height = gr.Slider(64, 2048, native, step=8, label="Height", elem_id=f"{tab}_height")
        with gr.Column(elem_id=f"{tab}_dimensions_row", scale=0, min_width=40):
            swap = tool("⇅", f"{tab}_res_switch_btn")
            tool("▭", f"{tab}_aspect_btn")  # sizes at hand; assets/page.js opens them
        with gr.Column(elem_id=f"{tab}_column_batch", scale=3, min_width=180):
            count = gr.Slider(1, most, 1, step=1, label="Batch count", elem_id=f"{tab}_batch_count")
            size = gr.Slider(1, 8, 1, step=1, label="Batch size", elem_id=f"{tab}_batch_size")
    return {"width": width, "height": height, "batch_count": count, "batch_size": size}, {"swap": swap}


def seed_rows(tab: str) -> tuple[Widgets, Widgets]:
    """Seed with its buttons, and the variation widgets that "Extra" opens."""
    form: Widgets = {}
    tools: Widgets = {}
    with gr.Row(elem_id=f"{tab}_seed_row", elem_classes=["seed-row"]):
        form["seed"] = gr.Number(-1, label="Seed", precision=0, elem_id=f"{tab}_seed", min_width=100)
        tools["random_seed"] = tool("🎲️", f"{tab}_random_seed")
        tools["reuse_seed"] = tool("♻️", f"{tab}_reuse_seed")
        form["subseed_show"] = gr.Checkbox(
            False, label="Extra", elem_id=f"{tab}_subseed_show", scale=0, min_width=90, container=False
        )
    with gr.Group(visible=seen(False), elem_id=f"{tab}_seed_extras") as tools["extras"]:
        with gr.Row(elem_id=f"{tab}_subseed_row", elem_classes=["seed-row"]):
            form["subseed"] = gr.Number(
                -1, label="Variation seed", precision=0, elem_id=f"{tab}_subseed", min_width=100
            )
            tools["random_subseed"] = tool("🎲️", f"{tab}_random_subseed")
            tools["reuse_subseed"] = tool("♻️", f"{tab}_reuse_subseed")
            form["subseed_strength"] = gr.Slider(
                0, 1, 0.0, step=0.01, label="Variation strength", elem_id=f"{tab}_subseed_strength", min_width=160
            )
        with gr.Row(elem_id=f"{tab}_seed_resize_from_row"):
            form["seed_resize_from_w"] = gr.Slider(
                0, 2048, 0, step=8, label="Resize seed from width", elem_id=f"{tab}_seed_resize_from_w", min_width=160
            )
            form["seed_resize_from_h"] = gr.Slider(
                0, 2048, 0, step=8, label="Resize seed from height", elem_id=f"{tab}_seed_resize_from_h", min_width=160
            )
    return form, tools


def overrides(tab: str) -> gr.Dropdown:
    """The settings that hold for this form only; hidden while there are none."""
    with gr.Row(elem_id=f"{tab}_override_settings_row"):
        return gr.Dropdown(
            choices=[],
            value=[],
            multiselect=True,
            visible=seen(False),
            label="Override settings",
            info="For this form only, instead of what Settings says.",
            elem_id=f"{tab}_override_settings",
        )
