"""The Settings tab and the quick settings: every option that works, saved the moment it changes. Built by `page`.

`quick` makes the row on top of the page, of Gradio's widgets; `build` the tab, whose rows are HTML (`settings_rows`)
that assets/settings.js brings to life; `Board` answers it; `Actions` has the handlers of the row on top, `wire`
connects them. An option may be shown twice (quick and in the tab): a change of either shows in both.
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
from modules.web.ui import checkpoints, defaults_view, importing, localization, markup, settings_rows, theme
from modules.web.ui.form import QUIET, Updates
from modules.web.ui.island import island, told

if TYPE_CHECKING:
    from modules.core.types import JsonObject
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
class Quick:
    """The row on top: key -> widget, and the button that scans the model folders again. said: why a value was refused.
    Hidden behind it, for scripts: json, all options; change, which takes the checkpoint that a script names in
    `wanted`.
    """

    widgets: dict[str, Any]
    refresh: gr.Button
    said: gr.HTML
    json: gr.Textbox
    wanted: gr.Textbox
    change: gr.Button


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tab:
    """The Settings tab. rows: the island with all options; problems: model files that cannot be used."""

    rows: gr.HTML
    problems: gr.HTML
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


def save(key: str, value: Any, services: Services) -> Option:
    """Keep a value; None means the default. Raises EaselError."""
    option = services.options.registry[key]
    if key == checkpoints.KEY:
        value = checkpoints.chosen(services, value)
    elif value is None:
        value = option.default
    services.options.set({key: value})
    return option


def refresh(services: Services) -> str:
    """Scan the model folders again -> what was found."""
    services.library.refresh()
    services.upscalers.refresh()
    count = len(services.library.checkpoints())
    return f"{count} checkpoint{'' if count == 1 else 's'} found."


def widget(option: Option, services: Services) -> Any:
    """The right Gradio widget for an option's kind, for the row on top."""
    common: dict[str, Any] = {
        "label": option.label or option.key,
        "elem_id": f"setting_{option.key}",
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
    with gr.Row(elem_id="quicksettings"):
        for key in dict.fromkeys(keys):
            if shown(registry[key]):
                widgets[key] = widget(registry[key], services)
                if key == checkpoints.KEY:
                    again = refresh_button()
        if checkpoints.KEY not in widgets:
            again = refresh_button()
    return Quick(
        widgets=widgets,
        refresh=again,
        said=gr.HTML(elem_id="quicksettings_said", padding=False),
        json=gr.Textbox(elem_id="settings_json", visible="hidden"),
        wanted=gr.Textbox(elem_id="change_checkpoint_name", visible="hidden"),
        change=gr.Button("Change checkpoint", elem_id="change_checkpoint", visible="hidden"),
    )


def refresh_button() -> gr.Button:
    """Scan the model folders again."""
    return gr.Button("🔄", elem_id=f"refresh_{checkpoints.KEY}", elem_classes=["tool"], scale=0, min_width=40)


def shown_sections(services: Services) -> list[tuple[str, str, list[Option]]]:
    """(element id, title, options) of the sections that have an option to show."""
    found = [
        (f"settings_{section}", title, [option for option in options if shown(option)])
        for section, title, options in services.options.registry.sections()
    ]
    return [entry for entry in found if entry[2]]


def build(services: Services, on_top: Quick) -> Tab:
    """Make the tab's widgets, inside the tab that the caller has opened."""
    sections, board = shown_sections(services), Board(services=services, quick=on_top)
    links = markup.section_links([*((name, title) for name, title, _ in sections), *OWN])
    content = settings_rows.sections(sections, board.ids(), board.values(frozen=False))
    with gr.Row(elem_id="settings_top"):
        gr.HTML(SEARCH, elem_id="settings_search", padding=False)
        gr.HTML(RESULT, elem_id="settings_result", padding=False)
    with gr.Row(elem_id="settings", equal_height=False):
        gr.HTML(links, elem_id="settings_sections")
        with gr.Column(elem_id="settings_pages", scale=5, min_width=280):
            problems = gr.HTML(elem_id="settings_problems", visible=False)
            rows = island("settings", "settings_rows", board.answers(), content=content)
            beginnings = defaults_view.build()
            wizard = importing.build(services)
    return Tab(rows=rows, problems=problems, quick=on_top, defaults=beginnings, wizard=wizard)


SEARCH = '<input type="search" placeholder="Search the settings" aria-label="Search the settings">'
RESULT = '<p class="easel-said" role="status" aria-live="polite"></p>'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """What the tab's script asks: every answer is JSON."""

    services: Services
    quick: Quick

    @property
    def options(self) -> list[Option]:
        """Those on the page."""
        return [option for option in self.services.options.registry.options() if shown(option)]

    def ids(self) -> dict[str, str]:
        """Option key -> element id: A1111's, unless the quick settings have taken it."""
        taken = self.quick.widgets
        return {o.key: f"setting_{o.key}{'_in_settings' if o.key in taken else ''}" for o in self.options}

    def values(self, *, frozen: bool) -> dict[str, Any]:
        """Key -> value as it is shown; with or without those that cannot be changed."""
        left_out = () if frozen else self.services.options.frozen
        return {o.key: value_of(o, self.services) for o in self.options if o.key not in left_out}

    def answers(self) -> dict[str, Callable[[JsonObject], Any]]:
        """For `island`."""
        return {"state": self.state, "set": self.set, "reset": self.reset}

    def state(self, asked: JsonObject) -> JsonObject:
        """values, what the menus offer, the keys that differ from their defaults, and `quick`, those shown twice."""
        now, frozen = self.services.options.snapshot(), self.services.options.frozen
        menus = {option.key: choices_of(option, self.services) for option in self.options}
        return {
            "values": self.values(frozen=True),
            "menus": {key: offered for key, offered in menus.items() if offered is not None},
            "changed": [o.key for o in self.options if o.key not in frozen and now[o.key] != o.default],
            "quick": list(self.quick.widgets),
            "options": dict(now),
        }

    def set(self, asked: JsonObject) -> JsonObject:
        """{"key", "value"} -> the state with `words`. Raises EaselError for what is refused."""
        option = save(str(asked["key"]), asked["value"], self.services)
        return self.state(asked) | {"words": f"Saved: {option.label or option.key}"}

    def reset(self, asked: JsonObject) -> JsonObject:
        """{"key"}: back to its default -> the state with `words`."""
        option = self.services.options.registry[str(asked["key"])]
        self.services.options.set({option.key: option.default})
        return self.state(asked) | {"words": f"Back to the default: {option.label or option.key}"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """What happens in the row on top, and when the page opens. `notices` are the panels shown without a checkpoint."""

    services: Services
    tab: Tab
    notices: list[gr.HTML]

    async def save(self, key: str, value: Any) -> Updates:
        """Keep `value` for an option of the row on top."""
        quick = self.tab.quick
        try:
            await asyncio.to_thread(save, key, value, self.services)
        except EaselError as error:
            return {**self.present(key), quick.said: markup.error(str(error))}
        return {quick.said: "", **self.told()}

    async def choose(self, title: str | None) -> Updates:
        """Take the checkpoint that a card or a script names."""
        if not title:
            return {self.tab.quick.said: gr.skip()}
        saved = await self.save(checkpoints.KEY, title)
        return {**saved, **self.present(checkpoints.KEY)}

    def follow(self, event: gr.EventData) -> Updates:
        """Something was changed in the tab: the row on top shows it too."""
        key = str(told(event).get("key", ""))
        return {**self.present(key), **self.told()}

    def told(self) -> Updates:
        """All options as scripts see them."""
        return {self.tab.quick.json: json.dumps(dict(self.services.options.snapshot()), ensure_ascii=False)}

    def present(self, key: str) -> Updates:
        """Show an option's present value in the row on top, if it is there."""
        made = self.tab.quick.widgets.get(key)
        return {} if made is None else {made: update(self.services.options.registry[key], self.services)}

    def opened(self) -> Updates:
        """Everything as it is now, for a page just opened: the widgets were made when the program started."""
        updates: Updates = {widget: change for widget, change in self.models().items() if change.get("visible")}
        for key, made in self.tab.quick.widgets.items():
            option = self.services.options.registry[key]
            if key in CHOICES or made.value != value_of(option, self.services):
                updates |= self.present(key)  # each update costs the browser a walk through the whole page
        return updates | self.told()

    def refresh(self) -> Updates:
        """Scan the model folders again."""
        words = refresh(self.services)
        updates = {**self.models(), self.tab.quick.said: markup.note(words)}
        for key in CHOICES:
            updates |= self.present(key)
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
    """Connect the row on top with `save`, the tab's script with `follow`, and the page's opening with `opened`."""
    tab, quick = actions.tab, actions.tab.quick
    row = [*quick.widgets.values(), quick.said, quick.json]
    everything = [*actions.notices, tab.problems, *row]
    for key, made in quick.widgets.items():
        for event in events(made):
            event(functools.partial(actions.save, key), [made], row, trigger_mode="always_last", **QUIET)
    quick.change.click(actions.choose, [quick.wanted], row, js=WANTED, **QUIET)
    quick.json.change(None, [quick.json], None, js="(text) => easelOptions(text)", **QUIET)
    tab.rows.sent(actions.follow, None, row, **QUIET)
    quick.refresh.click(actions.refresh, None, everything, **QUIET)
    page.load(actions.opened, None, everything, **QUIET)


def events(made: Any) -> list[Any]:
    """When a widget's value is final: text and numbers when the field is left, everything else at once."""
    return [made.blur, made.submit] if isinstance(made, gr.Textbox | gr.Number) else [made.input]
