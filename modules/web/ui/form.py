"""The widgets whose values make a request, by field name, and how events are declared. Shared by the tabs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

if TYPE_CHECKING:
    from modules.web.ui import fields

Updates = dict[Any, Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Of events: no spinner over the page, no route of Gradio's own API."""


def seen(shown: object) -> bool | str:
    """What `visible` is to be: what is not shown keeps its element, since scripts of extensions look for it.

    Not for rows and columns: those Gradio would show.
    """
    return True if shown else "hidden"


def _update(value: Any) -> Any:
    """A pasted value as Gradio takes it; what is an update already stays."""
    return value if isinstance(value, Mapping) and value.get("__type__") == "update" else gr.update(value=value)


@dataclasses.dataclass(frozen=True)
class Form:
    """widgets: field name -> widget; the names are those that `fields` makes requests of."""

    widgets: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.widgets[name]

    def __iter__(self) -> Iterator[Any]:
        """The widgets."""
        return iter(self.widgets.values())

    def read(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """Field name -> value, from what Gradio hands over (widget -> value)."""
        return {name: data[widget] for name, widget in self.widgets.items()}

    def fill(self, pasted: fields.Pasted) -> Updates:
        """Put pasted values into the form; the override settings are replaced by the pasted ones. What the form has no
        widget for is left out.
        """
        texts, widgets = list(pasted.overrides), self.widgets
        known = {name: value for name, value in pasted.values.items() if name in widgets}
        filled: Updates = {widgets[name]: _update(value) for name, value in known.items()}
        return filled | {widgets["override_settings"]: gr.update(choices=texts, value=texts, visible=seen(texts))}
