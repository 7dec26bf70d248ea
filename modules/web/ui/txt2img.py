"""The txt2img tab: the form, and what its buttons do. Built by `page`; jobs are shown by `screen`.

`build` makes the widgets and returns them as a `Tab`; `Actions` has the handlers; `wire` connects both.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import EaselError
from modules.prompts import importing
from modules.web.ui import defaults, fields, markup
from modules.web.ui.results import Result
from modules.web.ui.screen import OWNER, Buttons, Panel, Screen, Updates, buttons, panel

if TYPE_CHECKING:
    from modules.samplers.catalog import Catalog
    from modules.web.services import Services

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
SWAP = "(width, height) => [height, width]"
RANDOM = "() => -1"
CLEAR = "(prompt, negative) => window.confirm('Delete both prompts?') ? ['', ''] : [prompt, negative]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """The widgets whose values make a request; the field names are those of `fields.request_of`."""

    prompt: gr.Textbox
    negative_prompt: gr.Textbox
    sampler: gr.Dropdown
    scheduler: gr.Dropdown
    steps: gr.Slider
    width: gr.Slider
    height: gr.Slider
    batch_count: gr.Slider
    batch_size: gr.Slider
    cfg_scale: gr.Slider
    seed: gr.Number
    subseed_show: gr.Checkbox
    subseed: gr.Number
    subseed_strength: gr.Slider
    seed_resize_from_w: gr.Slider
    seed_resize_from_h: gr.Slider
    override_settings: gr.Dropdown

    @property
    def widgets(self) -> dict[str, Any]:
        """Field name -> widget."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def read(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """Field name -> value, from what Gradio hands over (widget -> value)."""
        return {name: data[widget] for name, widget in self.widgets.items()}

    def fill(self, pasted: fields.Pasted) -> Updates:
        """Put pasted values into the form; the override settings are replaced by the pasted ones."""
        texts = list(pasted.overrides)
        widgets = self.widgets
        filled: Updates = {widgets[name]: gr.update(value=value) for name, value in pasted.values.items()}
        return filled | {self.override_settings: gr.update(choices=texts, value=texts, visible=bool(texts))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tools:
    """Small buttons, counters and the group that "Extra" opens."""

    paste: gr.Button
    clear: gr.Button
    swap: gr.Button
    random_seed: gr.Button
    reuse_seed: gr.Button
    random_subseed: gr.Button
    reuse_subseed: gr.Button
    extras: gr.Group
    counter: gr.HTML
    negative_counter: gr.HTML


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """The whole tab. `notice` is the panel shown while there is no checkpoint."""

    notice: gr.HTML
    form: Form
    tools: Tools
    screen: Screen


def build(services: Services, catalog: Catalog) -> Tab:
    """Make the widgets, inside the tab that the caller has opened."""
    notice = gr.HTML(elem_id="txt2img_no_checkpoint", visible=False)
    with gr.Row(elem_id="txt2img_toprow", elem_classes=["toprow"]):
        texts = prompts()
        with gr.Column(scale=1, min_width=220, elem_id="txt2img_actions_column"):
            main = buttons("txt2img")
            with gr.Row(elem_id="txt2img_tools", elem_classes=["tools"]):
                paste = tool("↙️", "paste")
                clear = tool("🗑️", "txt2img_clear_prompt")
    with gr.Row(elem_classes=["generation"]):
        with gr.Column(elem_id="txt2img_settings", min_width=320):
            fixed, groups = settings(services, catalog)
        with gr.Column(elem_id="txt2img_results", min_width=320):
            shown = panel("txt2img")
    form = Form(**texts["form"], **fixed)
    defaults.apply(services.paths.ui_config, "txt2img", form.widgets.values())
    return Tab(
        notice=notice,
        form=form,
        tools=Tools(paste=paste, clear=clear, **texts["counters"], **groups),
        screen=make_screen(services, main, shown),
    )


def make_screen(services: Services, main: Buttons, shown: Panel) -> Screen:
    """Join the buttons and the panel, with the session's states."""
    return Screen(
        services=services,
        kind="txt2img",
        buttons=main,
        panel=shown,
        job=gr.State(None),
        result=gr.State(None),
        selected=gr.State(0),
    )


def tool(symbol: str, elem_id: str) -> gr.Button:
    """A button as small as its symbol."""
    return gr.Button(symbol, elem_id=elem_id, elem_classes=["tool"], scale=0, min_width=40)


def prompts() -> dict[str, dict[str, Any]]:
    """Prompt and negative prompt, each with its token counter."""
    texts: dict[str, dict[str, Any]] = {"form": {}, "counters": {}}
    rows = (
        ("prompt", "counter", "txt2img_prompt", "txt2img_prompt_row", "txt2img_token_counter", "Prompt"),
        (
            "negative_prompt",
            "negative_counter",
            "txt2img_neg_prompt",
            "txt2img_neg_prompt_row",
            "txt2img_negative_token_counter",
            "Negative prompt",
        ),
    )
    with gr.Column(scale=6, elem_id="txt2img_prompt_container"):
        for field, counter, elem_id, row_id, counter_id, label in rows:
            with gr.Row(elem_id=row_id, elem_classes=["prompt-row"]):
                texts["form"][field] = gr.Textbox(
                    label=label,
                    show_label=False,
                    elem_id=elem_id,
                    elem_classes=["prompt"],
                    lines=3,
                    placeholder=f"{label}\n(Ctrl+Enter generates)",
                )
                texts["counters"][counter] = gr.HTML(
                    markup.token_counter(0, 75), elem_id=counter_id, elem_classes=["token-counter"]
                )
    return texts


def settings(services: Services, catalog: Catalog) -> tuple[dict[str, Any], dict[str, Any]]:
    """The column on the left -> (widgets of the form, tools)."""
    form = sampling(services, catalog)
    sizes, tools = size_and_batch(services)
    form |= sizes
    form["cfg_scale"] = gr.Slider(1, 30, 7.0, step=0.5, label="CFG Scale", elem_id="txt2img_cfg_scale")
    seeds, seed_tools = seed_rows()
    form |= seeds
    tools |= seed_tools
    with gr.Row(elem_id="txt2img_override_settings_row"):
        form["override_settings"] = gr.Dropdown(
            choices=[],
            value=[],
            multiselect=True,
            visible=False,
            label="Override settings",
            info="For this form only, instead of what Settings says.",
            elem_id="txt2img_override_settings",
        )
    return form, tools


def sampler_names(services: Services, catalog: Catalog) -> list[str]:
    """The samplers that the menu offers: all but the hidden ones."""
    hidden = set(services.options.snapshot()["hide_samplers"])
    return [row.name for row in catalog.samplers() if row.name not in hidden]


def sampling(services: Services, catalog: Catalog) -> dict[str, Any]:
    """Sampler, schedule and steps."""
    with gr.Row(elem_id="sampler_selection_txt2img"):
        return {
            "sampler": gr.Dropdown(
                sampler_names(services, catalog), label="Sampling method", elem_id="txt2img_sampling", min_width=120
            ),
            "scheduler": gr.Dropdown(
                [row.label for row in catalog.schedulers()],
                label="Schedule type",
                elem_id="txt2img_scheduler",
                min_width=120,
            ),
            "steps": gr.Slider(1, 150, 20, step=1, label="Sampling steps", elem_id="txt2img_steps", scale=2),
        }


def size_and_batch(services: Services) -> tuple[dict[str, Any], dict[str, Any]]:
    """Width, height and the button that swaps them; batch count and size."""
    most = services.flags.max_batch_count
    with gr.Row(elem_classes=["dimensions"]):
        with gr.Column(elem_id="txt2img_column_size", scale=4, min_width=200):
            width = gr.Slider(64, 2048, 512, step=8, label="Width", elem_id="txt2img_width")
            height = gr.Slider(64, 2048, 512, step=8, label="Height", elem_id="txt2img_height")
        with gr.Column(elem_id="txt2img_dimensions_row", scale=0, min_width=40):
            swap = tool("⇅", "txt2img_res_switch_btn")
        with gr.Column(elem_id="txt2img_column_batch", scale=3, min_width=180):
            count = gr.Slider(1, most, 1, step=1, label="Batch count", elem_id="txt2img_batch_count")
            size = gr.Slider(1, 8, 1, step=1, label="Batch size", elem_id="txt2img_batch_size")
    return {"width": width, "height": height, "batch_count": count, "batch_size": size}, {"swap": swap}


def seed_rows() -> tuple[dict[str, Any], dict[str, Any]]:
    """Seed with its buttons, and the variation widgets that "Extra" opens."""
    form: dict[str, Any] = {}
    tools: dict[str, Any] = {}
    with gr.Row(elem_id="txt2img_seed_row", elem_classes=["seed-row"]):
        form["seed"] = gr.Number(-1, label="Seed", precision=0, elem_id="txt2img_seed", min_width=100)
        tools["random_seed"] = tool("🎲️", "txt2img_random_seed")
        tools["reuse_seed"] = tool("♻️", "txt2img_reuse_seed")
        form["subseed_show"] = gr.Checkbox(
            False, label="Extra", elem_id="txt2img_subseed_show", scale=0, min_width=90, container=False
        )
    with gr.Group(visible=False, elem_id="txt2img_seed_extras") as tools["extras"]:
        with gr.Row(elem_id="txt2img_subseed_row", elem_classes=["seed-row"]):
            form["subseed"] = gr.Number(
                -1, label="Variation seed", precision=0, elem_id="txt2img_subseed", min_width=100
            )
            tools["random_subseed"] = tool("🎲️", "txt2img_random_subseed")
            tools["reuse_subseed"] = tool("♻️", "txt2img_reuse_subseed")
            form["subseed_strength"] = gr.Slider(
                0, 1, 0.0, step=0.01, label="Variation strength", elem_id="txt2img_subseed_strength", min_width=160
            )
        with gr.Row(elem_id="txt2img_seed_resize_from_row"):
            form["seed_resize_from_w"] = gr.Slider(
                0, 2048, 0, step=8, label="Resize seed from width", elem_id="txt2img_seed_resize_from_w", min_width=160
            )
            form["seed_resize_from_h"] = gr.Slider(
                0, 2048, 0, step=8, label="Resize seed from height", elem_id="txt2img_seed_resize_from_h", min_width=160
            )
    return form, tools


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """What the buttons do; every handler takes values and returns (or streams) updates by widget."""

    services: Services
    catalog: Catalog
    tab: Tab

    async def generate(self, data: Mapping[Any, Any]) -> AsyncIterator[Updates]:
        """Queue what the form says and follow it; what is wrong with the form is said in the log."""
        try:
            request = fields.request_of(self.tab.form.read(data), self.services.options.registry)
            job_id = await asyncio.to_thread(self.services.submit_txt2img, request, owner=OWNER)
        except EaselError as error:
            yield {self.tab.screen.panel.log: markup.error(str(error))}
            return
        async for updates in self.tab.screen.show(job_id):
            yield updates

    def pasted(self, text: str) -> fields.Pasted:
        """An infotext, also of another program, as fields of the form."""
        return fields.paste(
            importing.parse(text),
            registry=self.services.options.registry,
            current=self.services.options.snapshot(),
            catalog=self.catalog,
        )

    def paste(self, prompt: str | None, result: Result | None, selected: int) -> Updates:
        """Spread the infotext in the prompt box over the form, or the shown picture's where the box is empty."""
        text = (prompt or "").strip() or (result.infotext(selected) if result else "")
        words = self.tab.screen.panel.log
        if not text:
            return {words: markup.note("No parameters to take: the prompt is empty and nothing was made yet.")}
        pasted = self.pasted(text)
        return self.tab.form.fill(pasted) | {words: "".join(markup.note(remark) for remark in pasted.notes)}

    def send(self, text: str | None) -> Updates:
        """Parameters sent from another tab; options send_seed and send_size decide whether those go along."""
        pasted = self.pasted(text or "")
        options = self.services.options.snapshot()
        unwanted = [
            *(() if options["send_seed"] else (*fields.SEED_FIELDS, "subseed_show")),
            *(() if options["send_size"] else fields.SIZE_FIELDS),
        ]
        return self.tab.form.fill(dataclasses.replace(pasted, values=fields.without(pasted.values, unwanted)))

    def reuse_seed(self, result: Result | None, selected: int) -> int:
        """The seed of the shown picture, -1 where there is none."""
        return result.seed(selected) if result else -1

    def reuse_subseed(self, result: Result | None, selected: int) -> int:
        """The variation seed of the shown picture, -1 where there is none."""
        return result.subseed(selected) if result else -1

    def count(self, text: str | None) -> str:
        """The token counter's text."""
        return markup.token_counter(*self.services.count_tokens(text or ""))

    def show_extras(self, ticked: bool) -> Updates:
        """ "Extra" opens the variation widgets."""
        return {self.tab.tools.extras: gr.update(visible=ticked)}

    def names(self) -> Updates:
        """The samplers to offer, for a page just opened (option hide_samplers may have changed)."""
        return {self.tab.form.sampler: gr.update(choices=sampler_names(self.services, self.catalog))}


def wire(actions: Actions, page: gr.Blocks) -> None:
    """Connect the tab's widgets with their handlers."""
    tab, form, tools = actions.tab, actions.tab.form, actions.tab.tools
    screen = tab.screen
    screen.wire()
    opened = page.load(screen.reopen, None, screen.outputs, **QUIET)
    page.load(actions.names, None, [form.sampler], **QUIET)
    run = screen.buttons.generate.click(
        actions.generate, set(form.widgets.values()), screen.outputs, cancels=[opened], **QUIET
    )
    run.failure(screen.rest, None, screen.outputs, **QUIET)
    wire_tools(actions)
    for text, counter in ((form.prompt, tools.counter), (form.negative_prompt, tools.negative_counter)):
        # at most one count is under way, and the last text is always counted
        text.change(actions.count, [text], [counter], trigger_mode="always_last", **QUIET)


def wire_tools(actions: Actions) -> None:
    """The small buttons; those that need no server run in the browser."""
    form, tools, screen = actions.tab.form, actions.tab.tools, actions.tab.screen
    everything = [*form.widgets.values(), screen.panel.log]
    tools.paste.click(actions.paste, [form.prompt, screen.result, screen.selected], everything, **QUIET)
    both = [form.prompt, form.negative_prompt]
    tools.clear.click(None, both, both, js=CLEAR, **QUIET)
    sizes = [form.width, form.height]
    tools.swap.click(None, sizes, sizes, js=SWAP, **QUIET)
    tools.random_seed.click(None, None, [form.seed], js=RANDOM, **QUIET)
    tools.random_subseed.click(None, None, [form.subseed], js=RANDOM, **QUIET)
    picture = [screen.result, screen.selected]
    tools.reuse_seed.click(actions.reuse_seed, picture, [form.seed], **QUIET)
    tools.reuse_subseed.click(actions.reuse_subseed, picture, [form.subseed], **QUIET)
    form.subseed_show.change(actions.show_extras, [form.subseed_show], [tools.extras], **QUIET)
