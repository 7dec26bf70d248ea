"""`infotext_fields` of A1111's scripts: what a pasted infotext puts into their widgets, and into a request's arguments.

An entry is (widget, label) or (widget, function of the parsed text); a function gives a value, a Gradio update, or None
to leave the widget as it is. Callbacks of on_infotext_pasted may change the parsed text before that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modules.compat import scripting, values
from modules.generate.scripts.registry import Pasting
from modules.prompts import infotext

if TYPE_CHECKING:
    from modules.compat.room import Room

log = logging.getLogger(__name__)


def pasting(room: Room, runner: Any, script: Any) -> Pasting:
    """What a row of Easel's table of scripts says of pasting."""

    def spread(parsed: Mapping[str, Any]) -> dict[int, Any]:
        widgets = [*(script.controls or ()), *(getattr(script, "pasted_controls", None) or ())]
        return {place: found for place, _, found in _found(room, script, widgets, parsed)}

    def arguments(parsed: Mapping[str, Any]) -> list[Any]:
        defaults = runner.defaults()[script.args_from : script.args_to]
        heard = False
        for place, control, found in _found(room, script, list(script.controls or ()), parsed):
            value = found.get("value") if is_update(found) else found
            if value is not None:
                defaults[place], heard = scripting.given(control, value), True
        return [values.encoded(room, value) for value in defaults] if heard else []

    return Pasting(spread=spread, arguments=arguments)


def hear(room: Room) -> Callable[[str, dict[str, Any]], None]:
    """A listener to pasted texts that calls those of on_infotext_pasted."""

    def heard(text: str, parsed: dict[str, Any]) -> None:
        room.callbacks.call("infotext_pasted", text, parsed)

    return heard


def further(script: Any, first: int) -> list[Any]:
    """Widgets that only `infotext_fields` names, of those that Gradio has made since number `first`."""
    controls = list(script.controls or ())
    found: list[Any] = []
    for widget, _ in _entries(script):
        fresh = getattr(widget, "_id", -1) >= first and hasattr(widget, "value")
        if fresh and all(widget is not other for other in (*controls, *found)):
            found.append(widget)
    return found


def is_update(value: Any) -> bool:
    """Whether it is what gr.update() gives."""
    return isinstance(value, Mapping) and value.get("__type__") == "update"


def converted(text: Any, value: Any) -> Any:
    """A text of an infotext as the kind of value that a widget has now. Raises ValueError, TypeError.

    As in A1111: "False" is false and any other word true; a number is a float.
    """
    if isinstance(value, bool):
        return text is True or (isinstance(text, str) and bool(text) and text != "False")
    if isinstance(value, int | float):
        return float(text)
    if isinstance(value, list) and isinstance(text, str):
        return [part.strip() for part in text.split(",") if part.strip()]
    return str(text) if isinstance(value, str) else text


def _entries(script: Any) -> Iterator[tuple[Any, Any]]:
    """(widget, label or function) of what a script says; entries of another form are left out."""
    for each in script.infotext_fields or ():
        try:
            yield each[0], each[1]
        except (TypeError, IndexError, KeyError):
            log.warning("%s: %r in infotext_fields is not (widget, label).", script.filename, each)


def _found(room: Room, script: Any, widgets: list[Any], parsed: Mapping[str, Any]) -> Iterator[tuple[int, Any, Any]]:
    """(place, widget, its value or an update) of what the text says about these widgets."""
    skipped = set(room.opts.infotext_skip_pasting or ())
    implied = infotext.with_defaults(parsed, backward_compatible=bool(room.opts.auto_backcompat))
    told = {label: value for label, value in implied.items() if label not in skipped}
    for widget, source in _entries(script):
        place = next((number for number, each in enumerate(widgets) if each is widget), None)
        if place is None:
            continue
        if callable(source):
            value = scripting.wrap_call(source, script.filename or "", "infotext_fields", told)
        else:
            value = told.get(source)
        if value is None:
            continue
        try:
            yield place, widget, value if is_update(value) else converted(value, getattr(widget, "value", None))
        except (ValueError, TypeError):
            log.info("%s: %r in a pasted text does not fit its widget.", script.filename, value)
