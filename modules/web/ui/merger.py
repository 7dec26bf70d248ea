"""The Checkpoint Merger tab: several checkpoints, a VAE and LoRAs to a new file. Built by `page`; `merging` does it.

A1111's widgets and labels, and below them what Easel adds: a multiplier for each block, and LoRAs to bake in.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import BadRequest, EaselError
from modules.loading.vaes import NONE
from modules.merging.request import CONFIG_SOURCES, FORMATS, METHODS, NOTHING, SUM, Merge
from modules.web.ui import markup, rows
from modules.web.ui.follow import FINAL_STATES, follow
from modules.web.ui.form import QUIET, Updates
from modules.web.ui.rows import Widgets
from modules.web.ui.screen import OWNER

if TYPE_CHECKING:
    from modules.web.services import Services

MODELS = {"primary": "Primary model (A)", "secondary": "Secondary model (B)", "tertiary": "Tertiary model (C)"}
EXPLAINED = {
    NOTHING: "Primary model A as it is: to convert it, bake in a VAE or LoRAs, or leave weights out.",
    SUM: "A × (1 − M) + B × M. M is the multiplier: 0 gives A, 1 gives B.",
    "Add difference": "A + (B − C) × M. What B learnt since C is added to A.",
}
LORA = re.compile(r"^(?P<name>.+?)\s*(?:[:=]\s*(?P<strength>-?[0-9.]+))?$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """form: field of `Merge` -> widget; refresh: buttons that look at the model folders again."""

    services: Services
    form: Widgets
    explained: gr.HTML
    refresh: tuple[gr.Button, ...]
    merge: gr.Button
    result: gr.HTML

    async def start(self, data: Mapping[Any, Any]) -> AsyncIterator[Updates]:
        """Queue the merge that the form says and follow it; what is wrong is said below the button."""
        try:
            request = asked({name: data[widget] for name, widget in self.form.items()})
            job_id = await asyncio.to_thread(self._submit, request)
            async for progress in follow(self.services.queue, job_id, watch=False):
                if progress.state not in FINAL_STATES:
                    yield {self.result: markup.progress_bar(progress, in_title=False)}
            job = await asyncio.to_thread(self.services.queue.get, job_id)
        except EaselError as error:
            yield {self.result: markup.error(str(error))}
            return
        if job.state != "done":
            yield {self.result: markup.error(job.error or "Cancelled before it began.")}
            return
        self.services.library.refresh()
        yield self.models() | {self.result: finished(job.result or {})}

    def _submit(self, request: Merge) -> str:
        return self.services.submit_merge(request, owner=OWNER)

    def models(self) -> Updates:
        """The menus as they are now."""
        titles = self.services.menus.checkpoints()
        menus: Updates = {self.form[f"{which}_model_name"]: gr.update(choices=titles) for which in MODELS}
        return menus | {self.form["bake_in_vae"]: gr.update(choices=vaes(self.services))}

    def look_again(self) -> Updates:
        """Look at the model folders again."""
        self.services.library.refresh()
        return self.models()


def vaes(services: Services) -> list[str]:
    """The separate VAE files, after "None"."""
    return [NONE, *(entry.name for entry in services.library.vaes.all())]


def asked(values: Mapping[str, Any]) -> Merge:
    """The form's values as a request. Raises BadRequest."""
    plain: dict[str, Any] = {
        name: value for name, value in values.items() if name not in ("block_weights", "loras", "config_source")
    }
    given: dict[str, Any] = {name: "" if value is None else value for name, value in plain.items()}
    request = Merge(
        **given,
        config_source=int(values["config_source"] or 0),
        block_weights=block_weights(values["block_weights"] or ""),
        loras=loras(values["loras"] or ""),
    )
    request.check()
    return request


def block_weights(text: str) -> tuple[float, ...]:
    """ "0, 0.5, 1" -> numbers. Raises BadRequest."""
    try:
        return tuple(float(word) for word in re.split(r"[\s,;]+", text.strip()) if word)
    except ValueError as error:
        raise BadRequest(
            f"Multipliers of blocks: {error}. Write numbers, with commas.", field="block_weights"
        ) from error


def loras(text: str) -> tuple[tuple[str, float], ...]:
    """A line each, "name: strength" (1 where it is left out); "<lora:name:strength>" is understood too."""
    found = []
    for line in (line.strip().removeprefix("<lora:").removesuffix(">") for line in text.splitlines()):
        if match := LORA.match(line):
            try:
                found.append((match["name"], float(match["strength"] or 1)))
            except ValueError as error:
                raise BadRequest(
                    f'LoRAs to bake in: "{line}" has no number behind the colon.', field="loras"
                ) from error
    return tuple(found)


def finished(result: Mapping[str, Any]) -> str:
    """What the merge made."""
    words = [f"Checkpoint saved to {result.get('path', '')}", *map(str, result.get("comments") or ())]
    return markup.log(words, result.get("seconds"))


def build(services: Services) -> Tab:
    """Make the widgets, inside the tab that the caller has opened."""
    with gr.Row(equal_height=False, elem_classes=["generation"]):
        with gr.Column(min_width=320):
            explained = gr.HTML(markup.note(EXPLAINED[SUM]), elem_id="modelmerger_interp_description")
            form, refresh = model_rows(services)
            form |= result_rows(services)
            form |= metadata_rows()
            merge = gr.Button("Merge", elem_id="modelmerger_merge", variant="primary")
        with gr.Column(min_width=320, elem_id="modelmerger_results_container"):  # noqa: SIM117  (too long as one)
            with gr.Column(elem_id="modelmerger_results_panel"):
                result = gr.HTML(elem_id="modelmerger_result", elem_classes=["html-log"])
    return Tab(services=services, form=form, explained=explained, refresh=refresh, merge=merge, result=result)


def model_rows(services: Services) -> tuple[Widgets, tuple[gr.Button, ...]]:
    """Which checkpoints, how, and how much."""
    form: Widgets = {}
    refresh = []
    titles = services.menus.checkpoints()
    with gr.Row(elem_id="modelmerger_models"):
        for letter, (which, label) in zip("ABC", MODELS.items(), strict=True):
            with gr.Row(elem_classes=["with-tool"]):
                form[f"{which}_model_name"] = gr.Dropdown(
                    titles, value=None, label=label, elem_id=f"modelmerger_{which}_model_name", min_width=160
                )
                refresh.append(rows.tool("🔄", f"refresh_checkpoint_{letter}"))
    form["custom_name"] = gr.Textbox(
        label="Custom Name (Optional)", elem_id="modelmerger_custom_name", placeholder="Made of the models' names"
    )
    form["multiplier"] = gr.Slider(
        0, 1, 0.3, step=0.05, label="Multiplier (M) - set to 0 to get model A", elem_id="modelmerger_interp_amount"
    )
    form["interp_method"] = gr.Radio(
        list(METHODS), value=SUM, label="Interpolation Method", elem_id="modelmerger_interp_method"
    )
    with gr.Accordion("Blocks and LoRAs", open=False):
        form["block_weights"] = gr.Textbox(
            label="Multipliers of blocks",
            info="In place of M: input blocks, middle, output blocks (25 for SD1 and SD2); empty: M everywhere.",
            elem_id="modelmerger_block_weights",
        )
        form["loras"] = gr.Textbox(
            label="LoRAs to bake in", info="A line each: name: strength", lines=2, elem_id="modelmerger_loras"
        )
    return form, tuple(refresh)


def result_rows(services: Services) -> Widgets:
    """What kind of file."""
    form: Widgets = {}
    with gr.Row():
        form["checkpoint_format"] = gr.Radio(
            list(FORMATS), value=FORMATS[0], label="Checkpoint format", elem_id="modelmerger_checkpoint_format"
        )
        form["save_as_half"] = gr.Checkbox(False, label="Save as float16", elem_id="modelmerger_save_as_half")
    form["config_source"] = gr.Radio(
        list(CONFIG_SOURCES),
        value=CONFIG_SOURCES[0],
        type="index",
        label="Copy config from",
        elem_id="modelmerger_config_method",
    )
    with gr.Row(elem_classes=["with-tool"]):
        menu = gr.Dropdown(vaes(services), value=NONE, label="Bake in VAE", elem_id="modelmerger_bake_in_vae")
        refresh = rows.tool("🔄", "modelmerger_refresh_bake_in_vae")
    form["bake_in_vae"] = menu
    refresh.click(functools.partial(_vaes_again, services), None, [menu], **QUIET)
    form["discard_weights"] = gr.Textbox(
        label="Discard weights with matching name", elem_id="modelmerger_discard_weights"
    )
    return form


def _vaes_again(services: Services) -> Any:
    services.library.refresh()
    return gr.update(choices=vaes(services))


def metadata_rows() -> Widgets:
    """What the file says of itself."""
    with gr.Accordion("Metadata", open=False):
        return {
            "save_metadata": gr.Checkbox(True, label="Save metadata", elem_id="modelmerger_save_metadata"),
            "add_merge_recipe": gr.Checkbox(True, label="Add merge recipe metadata", elem_id="modelmerger_add_recipe"),
            "copy_metadata_fields": gr.Checkbox(
                True, label="Copy metadata from merged models", elem_id="modelmerger_copy_metadata"
            ),
            "metadata_json": gr.Textbox("{}", label="Metadata in JSON format", elem_id="modelmerger_metadata_json"),
        }


def wire(tab: Tab, page: gr.Blocks) -> None:
    """Connect the widgets with their handlers."""
    method = tab.form["interp_method"]
    method.change(lambda name: markup.note(EXPLAINED.get(name, "")), [method], [tab.explained], **QUIET)
    menus = [*(tab.form[f"{which}_model_name"] for which in MODELS), tab.form["bake_in_vae"]]
    for button in tab.refresh:
        button.click(tab.look_again, None, menus, **QUIET)
    page.load(tab.models, None, menus, **QUIET)
    tab.merge.click(tab.start, set(tab.form.values()), [tab.result, *menus], **QUIET)
