"""Settings: the page's beginnings. Shows what has been set on the forms, and keeps it in ui-config.json when asked.

Element ids are A1111's. What is kept counts from the next start on.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from modules.core.errors import EaselError
from modules.web.ui import defaults, markup
from modules.web.ui.form import QUIET

NOT_KEPT = ("prompt", "negative_prompt", "override_settings")
"""Fields that are made anew for every picture."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """The section's widgets."""

    view: gr.Button
    apply: gr.Button
    shown: gr.HTML


def build() -> View:
    """Make the section, where the caller is."""
    with gr.Column(elem_id="settings_tab_defaults", elem_classes=["easel-section"]):
        gr.HTML("<h3>Defaults</h3>")
        gr.HTML(markup.note("What you have set on the forms can become what the page begins with."))
        with gr.Row():
            view = gr.Button("View changes", elem_id="ui_defaults_view")
            apply = gr.Button("Apply", elem_id="ui_defaults_apply", variant="primary")
        shown = gr.HTML(elem_id="ui_defaults_review")
    return View(view=view, apply=apply, shown=shown)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Actions:
    """path: ui-config.json; forms: tab -> widgets by field."""

    path: Path
    forms: Mapping[str, Mapping[str, Any]]

    @property
    def widgets(self) -> list[tuple[str, Any]]:
        """(tab, widget) of everything that can be kept."""
        return [
            (tab, widget)
            for tab, fields in self.forms.items()
            for name, widget in fields.items()
            if name not in NOT_KEPT and isinstance(widget, defaults.KEPT)
        ]

    def found(self, values: Sequence[Any]) -> list[defaults.Change]:
        """What differs from the beginning."""
        pairs = zip(self.widgets, values, strict=True)
        return [change for (tab, widget), value in pairs for change in defaults.changes(tab, [widget], [value])]

    def view(self, *values: Any) -> str:
        """The changes as a table."""
        return markup.changes([(change.key, change.before, change.now) for change in self.found(values)])

    async def apply(self, *values: Any) -> str:
        """Keep them."""
        found = self.found(values)
        try:
            await asyncio.to_thread(defaults.keep, self.path, found)
        except EaselError as error:
            return markup.error(str(error))
        return markup.note(f"{len(found)} values kept in {self.path.name}; they count from the next start on.")


def wire(view: View, actions: Actions) -> None:
    """Connect the buttons."""
    inputs = [widget for _, widget in actions.widgets]
    view.view.click(actions.view, inputs, [view.shown], **QUIET)
    view.apply.click(actions.apply, inputs, [view.shown], **QUIET)
