"""What the generation tabs have in common: the widgets joined with the screen, and what their buttons do.

`txt2img` and `img2img` build their widgets, name how a request is made of the form and who takes it; `wire` connects
everything; jobs are shown by `screen`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import BadRequest, EaselError
from modules.imaging import png
from modules.prompts import importing, pasted_styles
from modules.web.ui import fields, markup, rows, scripts, styles
from modules.web.ui.form import QUIET, Form, Updates, seen
from modules.web.ui.gallery import Toolbar
from modules.web.ui.results import Result
from modules.web.ui.screen import OWNER, Buttons, Panel, Screen

if TYPE_CHECKING:
    from modules.generate.scripts.registry import Tab as Name
    from modules.samplers.catalog import Catalog
    from modules.web.services import Services
    from modules.web.ui.cards import Kind

SWAP = "(width, height) => [height, width]"
RANDOM = "() => -1"
CLEAR = "(prompt, negative) => window.confirm(easelWords('Delete both prompts?')) ? ['', ''] : [prompt, negative]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tools:
    """Small buttons, counters and the group that "Extra" opens."""

    paste: gr.Button
    clear: gr.Button
    style_apply: gr.Button
    restore: gr.Button
    picture: gr.File
    swap: gr.Button
    random_seed: gr.Button
    reuse_seed: gr.Button
    random_subseed: gr.Button
    reuse_subseed: gr.Button
    extras: gr.Group
    counter: gr.HTML
    negative_counter: gr.HTML
    counter_again: gr.Button
    negative_counter_again: gr.Button


@dataclasses.dataclass(frozen=True)
class Submitted:
    """What Generate queued: jobs in order, and what is to be said of them."""

    jobs: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """A generation tab. `notice` is the panel shown while there is no checkpoint; submit: form values -> jobs, raises
    EaselError; islands: (kind of cards, where they are drawn).
    """

    notice: gr.HTML
    form: Form
    tools: Tools
    screen: Screen
    submit: Callable[[Mapping[str, Any]], Submitted]
    styles: styles.Panel
    islands: tuple[tuple[Kind, Any], ...]


def make_screen(services: Services, kind: str, main: Buttons, shown: tuple[Panel, Toolbar]) -> Screen:
    """Join the buttons and the panel, with the session's states."""
    return Screen(
        services=services,
        kind=kind,
        buttons=main,
        panel=shown[0],
        bar=shown[1],
        job=gr.State(None),
        result=gr.State(None),
        selected=gr.State(0),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """What the buttons do; every handler takes values and returns (or streams) updates by widget."""

    services: Services
    catalog: Catalog
    tab: Tab

    async def generate(self, data: Mapping[Any, Any], visit: gr.Request | None = None) -> AsyncIterator[Updates]:
        """Queue what the form says and follow it; what is wrong with the form is said in the log. visit: Gradio puts it
        in, for the name of who is logged in.
        """
        try:
            submitted = await asyncio.to_thread(self.tab.submit, self._asked(data, visit))
        except EaselError as error:
            yield {self.tab.screen.panel.log: markup.error(str(error))}
            return
        for job_id in submitted.jobs:
            async for updates in self.tab.screen.show(job_id):
                yield updates
        if len(submitted.jobs) != 1 or submitted.notes:
            yield await asyncio.to_thread(self.tab.screen.summary, submitted.jobs, submitted.notes)

    def _asked(self, data: Mapping[Any, Any], visit: gr.Request | None) -> dict[str, Any]:
        """The form's values, and who gave them."""
        return self.tab.form.read(data) | {"user": visit.username if visit else None}

    async def upscale(self, data: Mapping[Any, Any], visit: gr.Request | None = None) -> AsyncIterator[Updates]:
        """Hires fix of the shown picture, as the form's second pass says, with the picture's own prompts and seed."""
        screen = self.tab.screen
        try:
            job_id = await asyncio.to_thread(self._enlarged, data, visit)
        except EaselError as error:
            yield {screen.panel.log: markup.error(str(error))}
            return
        async for updates in screen.show(job_id):
            yield updates

    def _enlarged(self, data: Mapping[Any, Any], visit: gr.Request | None) -> str:
        """Queue it -> job id. Raises BadRequest where no picture is shown."""
        screen, inputs = self.tab.screen, self.services.inputs
        result, selected = data[screen.result], data[screen.selected]
        if not result or not result.paths:
            raise BadRequest("There is no picture to enlarge: make one first.", field="firstpass_image")
        place = min(selected, len(result.paths) - 1)
        own = self.pasted(result.infotext(place), style_action="Ignore").values
        kept = {name: value for name, value in own.items() if name in fields.PICTURE_FIELDS} | {styles.FIELD: ()}
        values = self._asked(data, visit) | kept | {"enable_hr": True, "seed": result.seed(place)}
        picture = inputs.add(result.paths[place].read_bytes(), field="firstpass_image")
        width, height = inputs.open(picture, field="firstpass_image").size
        request = dataclasses.replace(
            fields.txt2img(values, self.services.options.registry),
            firstpass_image=picture,
            width=width,
            height=height,
            batch_size=1,
            n_iter=1,
        )
        return self.services.submit(request, owner=OWNER)

    def pasted(self, text: str, *, style_action: str | None = None) -> fields.Pasted:
        """An infotext, also of another program, as fields of the form. style_action: what becomes of styles in its
        prompts, see `pasted_styles`; None asks the option.
        """
        current = self.services.options.snapshot()
        action = style_action or current["infotext_styles"]
        heard = pasted_styles.inferred(importing.parse(text), self.services.styles, action)
        for each in self.services.additions.heard.all():
            each(text, heard)
        parsed = {label: str(value) for label, value in heard.items() if isinstance(value, str | int | float)}
        found = fields.paste(
            parsed,
            registry=self.services.options.registry,
            current=current,
            catalog=self.catalog,
        )
        added = self._added(parsed, heard)
        if pasted_styles.STYLES in heard:
            added[styles.FIELD] = list(heard[pasted_styles.STYLES])
        return dataclasses.replace(found, values={**found.values, **added})

    def _added(self, parsed: Mapping[str, str], heard: Mapping[str, Any]) -> dict[str, Any]:
        """What extensions read from an infotext; heard: the same as they themselves left it."""
        tab: Name = "img2img" if self.tab.screen.kind == "img2img" else "txt2img"
        values = scripts.pasted(parsed, tab, self.services) | scripts.spread(heard, tab, self.services)
        for each in self.services.additions.labels.all():
            if each.label in parsed:
                with contextlib.suppress(ValueError):
                    values[each.field] = each.read(parsed[each.label])
        return values

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

    def count(self, text: str | None, chosen: list[str] | None) -> str:
        """The token counter's text; the chosen styles count too where the option says so."""
        return self._counted(text or "", chosen or [], negative=False)

    def count_negative(self, text: str | None, chosen: list[str] | None) -> str:
        """The same for the negative prompt."""
        return self._counted(text or "", chosen or [], negative=True)

    def _counted(self, text: str, chosen: list[str], *, negative: bool) -> str:
        options = self.services.options.snapshot()
        if options["disable_token_counters"]:
            return ""
        for each in self.services.additions.counted.all():
            text = each(text, chosen, negative)
        if chosen and options["include_styles_into_token_counters"]:
            with contextlib.suppress(EaselError):
                both = self.services.styles.apply(chosen, *(("", text) if negative else (text, "")))
                text = both[1] if negative else both[0]
        return markup.token_counter(*self.services.count_tokens(text))

    def dropped(self, path: str | None) -> Updates:
        """The parameters of a picture that was dropped on a prompt."""
        words = self.tab.screen.panel.log
        if not path:
            return {words: gr.skip()}
        try:
            found = png.read(Path(path))
        except EaselError as error:
            return {words: markup.error(str(error))}
        text = importing.shown(found.infotext, found.items, found.size)
        if not text:
            return {words: markup.note("There are no parameters in this picture.")}
        pasted = self.pasted(text)
        return self.tab.form.fill(pasted) | {words: "".join(markup.note(remark) for remark in pasted.notes)}

    def show_extras(self, ticked: bool) -> Updates:
        """ "Extra" opens the variation widgets."""
        return {self.tab.tools.extras: gr.update(visible=seen(ticked))}

    def names(self) -> Updates:
        """The samplers to offer, for a page just opened (option hide_samplers may have changed)."""
        return {self.tab.form["sampler"]: gr.update(choices=rows.sampler_names(self.services, self.catalog))}


def wire(actions: Actions, page: gr.Blocks) -> None:
    """Connect the tab's widgets with their handlers."""
    tab, form, tools = actions.tab, actions.tab.form, actions.tab.tools
    screen = tab.screen
    screen.wire()
    opened = page.load(screen.reopen, None, screen.outputs, **QUIET)
    page.load(actions.names, None, [form["sampler"]], **QUIET)
    run = screen.buttons.generate.click(actions.generate, set(form), screen.outputs, cancels=[opened], **QUIET)
    run.failure(screen.rest, None, screen.outputs, **QUIET)
    if screen.bar.upscale:
        asked = {*form, screen.result, screen.selected}
        enlarged = screen.bar.upscale.click(actions.upscale, asked, screen.outputs, **QUIET)
        enlarged.failure(screen.rest, None, screen.outputs, **QUIET)
    wire_tools(actions)
    chosen = form[styles.FIELD]
    for text, counter, again, count in (
        (form["prompt"], tools.counter, tools.counter_again, actions.count),
        (form["negative_prompt"], tools.negative_counter, tools.negative_counter_again, actions.count_negative),
    ):
        again.click(count, [text, chosen], [counter], **QUIET)  # scripts press it
        # at most one count is under way, and the last text is always counted
        for asking in (text, chosen):
            asking.change(count, [text, chosen], [counter], trigger_mode="always_last", **QUIET)
    panel = styles.Actions(
        services=actions.services, panel=tab.styles, prompt=form["prompt"], negative=form["negative_prompt"]
    )
    styles.wire(panel, tools.style_apply, page)


def wire_tools(actions: Actions) -> None:
    """The small buttons; those that need no server run in the browser."""
    form, tools, screen = actions.tab.form, actions.tab.tools, actions.tab.screen
    everything = [*form, screen.panel.log]
    tools.paste.click(actions.paste, [form["prompt"], screen.result, screen.selected], everything, **QUIET)
    tools.picture.upload(actions.dropped, [tools.picture], everything, **QUIET)
    tools.restore.click(screen.reopen, None, screen.outputs, **QUIET)
    both = [form["prompt"], form["negative_prompt"]]
    tools.clear.click(None, both, both, js=CLEAR, **QUIET)
    sizes = [form["width"], form["height"]]
    tools.swap.click(None, sizes, sizes, js=SWAP, **QUIET)
    tools.random_seed.click(None, None, [form["seed"]], js=RANDOM, **QUIET)
    tools.random_subseed.click(None, None, [form["subseed"]], js=RANDOM, **QUIET)
    picture = [screen.result, screen.selected]
    tools.reuse_seed.click(actions.reuse_seed, picture, [form["seed"]], **QUIET)
    tools.reuse_subseed.click(actions.reuse_subseed, picture, [form["subseed"]], **QUIET)
    form["subseed_show"].change(actions.show_extras, [form["subseed_show"]], [tools.extras], **QUIET)
