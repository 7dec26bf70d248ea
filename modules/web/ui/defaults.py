"""The user's own defaults for the page: A1111's ui-config.json, with keys such as "txt2img/Sampling steps/value".

The tabs' builders apply them once their widgets are made: what does not fit a widget is logged and left out. Settings
writes what the visitor has set on the page (`changes`, `keep`); what belongs to other widgets stays as it is.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from modules.core.store import write_atomically

log = logging.getLogger(__name__)

RANGE = ("minimum", "maximum", "step")
ATTRIBUTES = (*RANGE, "value")
KEPT = (gr.Slider, gr.Number, gr.Checkbox, gr.Dropdown, gr.Radio, gr.Textbox)
"""Widgets whose values the file keeps."""


def apply(path: Path, tab: str, widgets: Iterable[Any]) -> None:
    """Give widgets (Gradio components with labels) the range and value that the file names for them."""
    wishes = read(path)
    for widget in widgets:
        for attribute in (*RANGE, "value"):  # the range first: the value must lie in it
            key = f"{tab}/{widget.label}/{attribute}"
            if key not in wishes:
                continue
            if fits(widget, attribute, wishes[key]):
                setattr(widget, attribute, wishes[key])
            else:
                log.warning("%s: %s cannot be %r; left as it was.", path, key, wishes[key])


def read(path: Path) -> dict[str, Any]:
    """What the file says; nothing where it is absent or is no JSON object (logged)."""
    if not path.exists():
        return {}
    try:
        wishes = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read and is left alone: %s", path, error)
        return {}
    if not isinstance(wishes, dict):
        log.warning("%s is no JSON object and is left alone.", path)
        return {}
    return wishes


@dataclasses.dataclass(frozen=True)
class Change:
    """A widget whose value is not the one that a page begins with."""

    key: str
    before: Any
    now: Any


def changes(tab: str, widgets: Sequence[Any], values: Sequence[Any]) -> list[Change]:
    """What differs from the beginning, of the widgets that the file can hold (those with a label, and plain values)."""
    found = []
    for widget, value in zip(widgets, values, strict=True):
        if isinstance(widget, KEPT) and widget.label and value != widget.value and _plain(widget, value):
            found.append(Change(f"{tab}/{widget.label}/value", widget.value, value))
    return found


def keep(path: Path, found: Iterable[Change]) -> None:
    """Write them into the file, beside all that is there. Raises StoreError."""
    wishes = read(path) | {change.key: change.now for change in found}
    write_atomically(path, json.dumps(wishes, indent=4, ensure_ascii=False).encode())


def _plain(widget: Any, value: Any) -> bool:
    """Whether the file can give this back to the widget: a radio that counts hands over its place."""
    return not (isinstance(widget, gr.Radio) and widget.type == "index") and fits(widget, "value", value)


def fits(widget: Any, attribute: str, value: Any) -> bool:
    """Whether a widget can take this."""
    if isinstance(widget, gr.Slider):
        inside = attribute != "value" or (_is_number(value) and widget.minimum <= value <= widget.maximum)
        return _is_number(value) and inside and (attribute != "step" or value > 0)
    if attribute != "value":
        return False
    if isinstance(widget, gr.Dropdown):
        return value in [choice for _, choice in widget.choices]
    if isinstance(widget, gr.Number):
        return _is_number(value)
    return isinstance(value, bool if isinstance(widget, gr.Checkbox) else str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
