"""The Settings tab and the quick settings: every option that works, saved the moment it changes. Built by `page`.

`quick` makes the row on top of the page, `build` the tab, `Actions` has the handlers, `wire` connects them. An option
may be shown twice (quick and in the tab): a change of either shows in both.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import EaselError
from modules.loading.vaes import AUTOMATIC, NONE
from modules.web.ui import checkpoints, defaults_view, importing, localization, markup, theme
from modules.web.ui.form import QUIET, Updates

if TYPE_CHECKING:
    from modules.settings.options import Option
    from modules.web.services import Services


TAB_TITLES: tuple[str, ...] = (
    *("txt2img", "img2img", "Extras", "PNG Info", "History", "Queue"),
    *("Checkpoint Merger", "Train", "Settings", "Extensions"),
)

# what a menu offers where the registry cannot know it
CHOICES: dict[str, Callable[[Services], list[str]]] = {
    checkpoints.KEY: checkpoints.titles,
    "sd_vae": lambda services: [AUTOMATIC[0], NONE, *(entry.name for entry in services.library.vaes.all())],
    "upscaler_for_img2img": lambda services: services.upscalers.names(),
    "gradio_theme": lambda services: theme.choices(),
    "localization": lambda services: localization.names(services.paths, services.additions.translations.all()),
    "hidden_tabs": lambda services: list(TAB_TITLES),
    "ui_tab_order": lambda services: list(TAB_TITLES),
}

WANTED = "() => [desiredCheckpointName]"
"""The script's variable, as A1111 calls it."""

OWN = [("settings_tab_defaults", "Defaults"), (importing.SECTION, "Import from A1111")]
"""Sections that are no list of options."""


def shown(option: Option) -> bool:
    """Whether the page has a widget for it."""
    return option.works and option.kind != "html"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Control:
    """One option on the page: its widgets, and the button that sets it back (shown while that would change it)."""

    option: Option
    widgets: tuple[Any, ...]
    reset: gr.Button


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quick:
    """The row on top: key -> widget, and the button that scans the model folders again (None: it is in the tab). Hidden
    behind it, for scripts: json, all options; change, which takes the checkpoint that a script names in `wanted`.
    """

    widgets: dict[str, Any]
    refresh: gr.Button | None
    json: gr.Textbox
    wanted: gr.Textbox
    change: gr.Button


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """The Settings tab. problems: model files that cannot be used; marks: a style that shows which options differ from
    their defaults.
    """

    controls: tuple[Control, ...]
    refresh: gr.Button
    problems: gr.HTML
    result: gr.HTML
    marks: gr.HTML
    quick: Quick
    defaults: defaults_view.View
    wizard: importing.Wizard


def value_of(option: Option, services: Services) -> Any:
    """The option's value as its widget shows it."""
    if option.key == checkpoints.KEY:
        return checkpoints.current(services)
    return services.options.snapshot()[option.key]


def choices_of(option: Option, services: Services) -> list[str] | None:
    """What the option's menu offers, the present value included; None for an option without a menu."""
    dynamic = CHOICES.get(option.key)
    if dynamic is None and option.kind not in ("choice", "choices"):
        return None
    offered = dynamic(services) if dynamic else list(option.choices or ())
    value = value_of(option, services)
    present = value if isinstance(value, list) else [value]
    return [*offered, *(item for item in present if item is not None and item not in offered)]


def update(option: Option, services: Services) -> Any:
    """A widget's update to the option's present value."""
    offered = choices_of(option, services)
    value = value_of(option, services)
    return gr.update(value=value) if offered is None else gr.update(value=value, choices=offered)


def widget(option: Option, services: Services, elem_id: str, *, with_help: bool) -> Any:
    """The right widget for an option's kind."""
    common: dict[str, Any] = {
        "label": option.label or option.key,
        "info": (option.help or None) if with_help else None,
        "elem_id": elem_id,
        "value": value_of(option, services),
        "interactive": option.key not in services.options.frozen,
    }
    offered = choices_of(option, services)
    if offered is not None:
        several = option.kind == "choices"
        return gr.Dropdown(choices=offered, multiselect=several or None, allow_custom_value=option.open, **common)
    if option.kind == "bool":
        return gr.Checkbox(**common)
    if option.kind == "color":
        return gr.ColorPicker(**common)
    if option.kind in ("int", "float"):
        return number(option, common)
    return gr.Textbox(**common, max_lines=1)


def number(option: Option, common: dict[str, Any]) -> Any:
    """A slider where both ends are known, a number field elsewhere."""
    step = option.step or (1 if option.kind == "int" else None)
    if option.minimum is not None and option.maximum is not None:
        return gr.Slider(option.minimum, option.maximum, step=step or 0.01, **common)
    return gr.Number(precision=0 if option.kind == "int" else None, step=step or 1, **common)


def quick(services: Services) -> Quick:
    """The row on top of the page: the options that quicksettings_list names and that work."""
    registry = services.options.registry
    keys = [key for key in services.options.snapshot()["quicksettings_list"] if key in registry]
    widgets: dict[str, Any] = {}
    refresh = None
    with gr.Row(elem_id="quicksettings"):
        for key in dict.fromkeys(keys):
            if not shown(registry[key]):
                continue
            widgets[key] = widget(registry[key], services, f"setting_{key}", with_help=False)
            if key == checkpoints.KEY:
                refresh = refresh_button()
    return Quick(
        widgets=widgets,
        refresh=refresh,
        json=gr.Textbox(elem_id="settings_json", visible="hidden"),
        wanted=gr.Textbox(elem_id="change_checkpoint_name", visible="hidden"),
        change=gr.Button("Change checkpoint", elem_id="change_checkpoint", visible="hidden"),
    )


def refresh_button() -> gr.Button:
    """Scan the model folders again."""
    return gr.Button("🔄", elem_id=f"refresh_{checkpoints.KEY}", elem_classes=["tool"], scale=0, min_width=40)


def build(services: Services, on_top: Quick) -> Tab:
    """Make the tab's widgets, inside the tab that the caller has opened."""
    sections = [
        (f"settings_{section}", title, [option for option in options if shown(option)])
        for section, title, options in services.options.registry.sections()
    ]
    sections = [entry for entry in sections if entry[2]]
    controls: list[Control] = []
    refresh = on_top.refresh
    with gr.Row(elem_id="settings_top"):
        gr.Textbox(
            show_label=False, container=False, placeholder="Search the settings", elem_id="settings_search", scale=1
        )
        result = gr.HTML(elem_id="settings_result")
        marks = gr.HTML(marked(services), elem_id="settings_marks", padding=False)
    with gr.Row(elem_id="settings", equal_height=False):
        gr.HTML(
            markup.section_links([*((name, title) for name, title, _ in sections), *OWN]), elem_id="settings_sections"
        )
        with gr.Column(elem_id="settings_pages", scale=5, min_width=280):
            problems = gr.HTML(elem_id="settings_problems", visible=False)
            for name, title, options in sections:
                with gr.Column(elem_id=name, elem_classes=["easel-section"]):
                    gr.HTML(f"<h3>{markup.escape(title)}</h3>")
                    controls += [control(option, services, on_top) for option in options]
                    if refresh is None and any(option.key == checkpoints.KEY for option in options):
                        refresh = refresh_button()
            beginnings = defaults_view.build()
            wizard = importing.build()
    return Tab(
        controls=tuple(controls),
        refresh=refresh or refresh_button(),
        problems=problems,
        result=result,
        marks=marks,
        quick=on_top,
        defaults=beginnings,
        wizard=wizard,
    )


def control(option: Option, services: Services, on_top: Quick) -> Control:
    """One row of the tab; its widget has A1111's id unless the quick settings have taken it."""
    taken = on_top.widgets.get(option.key)
    elem_id = f"setting_{option.key}" if taken is None else f"setting_{option.key}_in_settings"
    frozen = option.key in services.options.frozen
    with gr.Row(elem_classes=["easel-option", *(["frozen"] if frozen else [])]):
        made = widget(option, services, elem_id, with_help=True)
        reset = gr.Button(
            "↺",
            elem_id=f"reset_{option.key}",
            elem_classes=["tool", "easel-reset"],
            scale=0,
            min_width=40,
        )
    return Control(option=option, widgets=(made,) if taken is None else (made, taken), reset=reset)


def marked(services: Services) -> str:
    """A style that shows the bars and reset buttons of what differs from its default and may be changed, and no others.

    One widget in place of a change of visibility for each button: each of those costs the browser a walk.
    """
    now, frozen = services.options.snapshot(), services.options.frozen
    ids = [
        f"#reset_{option.key}"
        for option in services.options.registry.options()
        if option.key not in frozen and shown(option) and now[option.key] != option.default
    ]
    buttons, rows = ", ".join(ids), ", ".join(f".easel-option:has({id})" for id in ids)
    some = f"{buttons} {{ display: inline-flex; }} {rows} {{ border-left-color: var(--primary-500); }}" if ids else ""
    return f"<style>{some}</style>"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """What happens when an option changes. `notices` are the panels that are shown without a checkpoint."""

    services: Services
    tab: Tab
    notices: list[gr.HTML]

    async def save(self, place: int, which: int, value: Any) -> Updates:
        """Keep `value` for the option of control `place`; `which` of its widgets sent it."""
        control = self.tab.controls[place]
        option, source = control.option, control.widgets[which]
        try:
            if option.key == checkpoints.KEY:
                value = checkpoints.chosen(self.services, value)
            elif value is None:
                value = option.default
            await asyncio.to_thread(self.services.options.set, {option.key: value})
        except EaselError as error:
            return {source: update(option, self.services), self.tab.result: markup.error(str(error))}
        others = {other: update(option, self.services) for other in control.widgets if other is not source}
        words = markup.note(f"Saved: {option.label or option.key}")
        return others | {self.tab.result: words} | self.told()

    async def choose(self, title: str | None) -> Updates:
        """Take the checkpoint that a card or a script names."""
        place = next(place for place, control in enumerate(self.tab.controls) if control.option.key == checkpoints.KEY)
        control = self.tab.controls[place]
        if not title:
            return {self.tab.result: gr.skip()}
        updates = await self.save(place, 0, title)
        return self.present(control) | updates

    def told(self) -> Updates:
        """All options as scripts see them."""
        text = json.dumps(dict(self.services.options.snapshot()), ensure_ascii=False)
        return {self.tab.quick.json: text, self.tab.marks: marked(self.services)}

    async def reset(self, place: int) -> Updates:
        """Set the option of control `place` back to its default."""
        control = self.tab.controls[place]
        option = control.option
        try:
            await asyncio.to_thread(self.services.options.set, {option.key: option.default})
        except EaselError as error:
            return {self.tab.result: markup.error(str(error))}
        words = markup.note(f"Back to the default: {option.label or option.key}")
        return self.present(control) | {self.tab.result: words} | self.told()

    def present(self, control: Control) -> Updates:
        """Show an option's present value everywhere."""
        option = control.option
        # an update of its own for each: Gradio takes them apart while it answers
        return {made: update(option, self.services) for made in control.widgets}

    def opened(self) -> Updates:
        """Everything as it is now, for a page just opened: the widgets were made when the program started."""
        shown = {widget: change for widget, change in self.models().items() if change.get("visible")}
        updates: Updates = shown | self.told()
        for control in self.tab.controls:
            if self.differs(control):  # each update costs the browser a walk through the whole page
                updates |= self.present(control)
        return updates

    def differs(self, control: Control) -> bool:
        """Whether an option is not shown as it is by the page as it was built."""
        now = value_of(control.option, self.services)
        return control.option.key in CHOICES or any(widget.value != now for widget in control.widgets)

    def refresh(self) -> Updates:
        """Scan the model folders again."""
        self.services.library.refresh()
        self.services.upscalers.refresh()
        count = len(self.services.library.checkpoints())
        words = markup.note(f"{count} checkpoint{'' if count == 1 else 's'} found.")
        updates = self.models() | {self.tab.result: words}
        for control in self.tab.controls:
            if control.option.key in CHOICES:
                updates |= self.present(control)
        return updates

    def models(self) -> Updates:
        """The panel for a program without a model, and the list of unusable files."""
        panel = checkpoints.notice(self.services)
        unusable = checkpoints.problems(self.services)
        return {
            **{notice: gr.update(value=panel, visible=bool(panel)) for notice in self.notices},
            self.tab.problems: gr.update(value=unusable, visible=bool(unusable)),
        }


def wire(actions: Actions, page: gr.Blocks) -> None:
    """Connect every option's widgets with `save`, its button with `reset`, and the page's opening with `opened`."""
    tab, quick = actions.tab, actions.tab.quick
    everything = [*actions.notices, tab.problems, tab.result, tab.marks, quick.json]
    for place, control in enumerate(tab.controls):
        everything += control.widgets
        outputs = [*control.widgets, tab.result, tab.marks, quick.json]
        for which, made in enumerate(control.widgets):
            handler = functools.partial(actions.save, place, which)
            for event in events(made):
                event(handler, [made], outputs, trigger_mode="always_last", **QUIET)
        control.reset.click(functools.partial(actions.reset, place), None, outputs, **QUIET)
        if control.option.key == checkpoints.KEY:
            quick.change.click(actions.choose, [quick.wanted], outputs, js=WANTED, **QUIET)
    quick.json.change(None, [quick.json], None, js="(text) => easelOptions(text)", **QUIET)
    tab.refresh.click(actions.refresh, None, everything, **QUIET)
    page.load(actions.opened, None, everything, **QUIET)


def events(made: Any) -> list[Any]:
    """When a widget's value is final: text and numbers when the field is left, everything else at once."""
    return [made.blur, made.submit] if isinstance(made, gr.Textbox | gr.Number) else [made.input]
