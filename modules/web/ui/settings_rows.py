"""The Settings tab's rows as HTML: pure functions of options and values. Called by `settings`; assets/settings.js makes
them work: it fills the menus, saves what is changed, and marks what differs from its default.

Plain HTML in place of a Gradio widget, a button and their events for each of 200 options: those were most of the page,
and the browser walks through all of it for each of them (measured: 1,686 parts and 665 events, 9 of 11 seconds).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modules.web.ui.markup import escape

if TYPE_CHECKING:
    from modules.settings.options import Option

Ids = Mapping[str, str]
"""Option key -> id of the element with its control."""


def sections(found: Sequence[tuple[str, str, Sequence[Option]]], ids: Ids, values: Mapping[str, Any]) -> str:
    """All sections: (element id, title, options). An option without a value among `values` is frozen."""
    return "".join(_section(name, title, options, ids, values) for name, title, options in found)


def _section(name: str, title: str, options: Sequence[Option], ids: Ids, values: Mapping[str, Any]) -> str:
    rows = "".join(row(option, ids[option.key], values) for option in options)
    return f'<section class="easel-section" id="{html.escape(name)}"><h3>{escape(title)}</h3>{rows}</section>'


def row(option: Option, elem_id: str, values: Mapping[str, Any]) -> str:
    """One option: its control with label and help, and the button that sets it back."""
    key, field, label = html.escape(option.key), f"{elem_id}_input", escape(option.label or option.key)
    kind = kind_of(option)
    frozen = "" if option.key in values else " disabled"
    control = _CONTROLS[kind](option, field, values.get(option.key), frozen)
    info = f'<span class="easel-info">{escape(option.help)}</span>' if option.help else ""
    name = f'<label for="{field}">{label}</label>'
    inside = f"{control}{name}{info}" if kind == "bool" else f"{name}{info}{control}"
    return (
        f'<div class="easel-option{" frozen" if frozen else ""}" data-key="{key}" data-kind="{kind}">'
        f'<div class="easel-setting" id="{elem_id}">{inside}</div>'
        f'<button type="button" class="easel-button easel-symbol easel-reset" id="reset_{key}"'
        f' title="Back to the default" aria-label="Back to the default" aria-describedby="{field}">↺</button></div>'
    )


def kind_of(option: Option) -> str:
    """bool, color, range, number, choices, choice, open (a menu that takes other words too) or text."""
    if option.kind in ("int", "float"):
        return "number" if option.minimum is None or option.maximum is None else "range"
    if option.kind == "choice" and option.open:
        return "open"
    return option.kind


def _bool(option: Option, field: str, value: Any, frozen: str) -> str:
    return f'<input type="checkbox" id="{field}"{" checked" if value else ""}{frozen}>'


def _ends(option: Option) -> str:
    step = option.step or (1 if option.kind == "int" else "any" if option.minimum is None else 0.01)
    ends = {"min": option.minimum, "max": option.maximum, "step": step}
    return "".join(f' {name}="{end}"' for name, end in ends.items() if end is not None)


def _number(option: Option, field: str, value: Any, frozen: str) -> str:
    return f'<input type="number" id="{field}"{_ends(option)} value="{_text_of(value)}"{frozen}>'


def _range(option: Option, field: str, value: Any, frozen: str) -> str:
    label = html.escape(option.label or option.key)
    slider = f'<input type="range"{_ends(option)} value="{_text_of(value)}" aria-label="{label}"{frozen}>'
    return f'<span class="easel-range">{slider}{_number(option, field, value, frozen)}</span>'


def _color(option: Option, field: str, value: Any, frozen: str) -> str:
    return f'<input type="color" id="{field}" value="{_text_of(value)}"{frozen}>'


def _text(option: Option, field: str, value: Any, frozen: str) -> str:
    return f'<input type="text" id="{field}" value="{_text_of(value)}" autocomplete="off"{frozen}>'


def _open(option: Option, field: str, value: Any, frozen: str) -> str:
    menu = f'<datalist id="{field}_menu"></datalist>'
    return f'<input type="text" id="{field}" list="{field}_menu" value="{_text_of(value)}"{frozen}>{menu}'


def _choice(option: Option, field: str, value: Any, frozen: str) -> str:
    shown = _text_of(value)
    return f'<select id="{field}"{frozen}><option value="{shown}" selected>{shown}</option></select>'


def _choices(option: Option, field: str, value: Any, frozen: str) -> str:
    """What is chosen, in its order, and a menu (or a field, where other words are taken too) that adds to it."""
    adding = (
        f'<input type="text" id="{field}" list="{field}_menu" placeholder="Add…"{frozen}><datalist id="{field}_menu">'
        "</datalist>"
        if option.open
        else f'<select id="{field}"{frozen}><option value="">Add…</option></select>'
    )
    return f'<span class="easel-chips"></span>{adding}'


def _text_of(value: Any) -> str:
    return "" if value is None else html.escape(str(value))


_CONTROLS = {
    "bool": _bool,
    "number": _number,
    "range": _range,
    "color": _color,
    "text": _text,
    "open": _open,
    "choice": _choice,
    "choices": _choices,
}
