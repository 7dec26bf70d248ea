"""Styles found again in the prompts of an infotext, where they are written out.

Whoever reads an infotext asks `inferred` after `importing.parse`: the page, the API and A1111's extensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from modules.core.errors import DamagedFile
from modules.prompts import infotext
from modules.prompts.styles import Style, StyleBook

STYLES = "Styles array"
"""A1111's label for the list of names in what it reads from an infotext."""
SINCE = (1, 8, 0, 139)
"""The last version that wrote the prompts of hires fix without their styles."""


class Plain(NamedTuple):
    """Prompts without the styles that were applied to them, and the names of those in that order."""

    names: list[str]
    prompt: str
    negative_prompt: str


def inferred(parsed: Mapping[str, Any], styles: StyleBook, action: str) -> dict[str, Any]:
    """What `infotext.parse` found, as the option infotext_styles wants it.

    "Ignore": unchanged; "Discard": without the text of styles; "Apply": the same and their names under `STYLES`; "Apply
    if any": the names only where there are some. Prompts of hires fix must have the same styles, or all stays as it is.
    A file of styles that cannot be read has none. Raises nothing.
    """
    if action == "Ignore":
        return dict(parsed)
    try:
        known = list(styles.read().values())
    except DamagedFile:  # the text says as much without it; whoever chooses a style is told
        return dict(parsed)
    prompt, negative = str(parsed.get("Prompt", "")), str(parsed.get("Negative prompt", ""))
    plain = taken_out(known, prompt, negative)
    fields: dict[str, Any] = {label: value for label, value in parsed.items() if label not in _PROMPTS}
    if any(label in parsed for label in _HIRES) and _with_hires_styles(parsed):
        again = taken_out(known, str(parsed.get(_HIRES[0], prompt)), str(parsed.get(_HIRES[1], negative)))
        if again.names != plain.names:
            return dict(parsed)
        fields |= {
            label: "" if ours == own else ours for label, ours, own in zip(_HIRES, again[1:], plain[1:], strict=True)
        }
    if action == "Apply" or (action == "Apply if any" and plain.names):
        fields[STYLES] = plain.names
    return fields | dict(zip(_PROMPTS, plain[1:], strict=True))


_PROMPTS = ("Prompt", "Negative prompt")
_HIRES = ("Hires prompt", "Hires negative prompt")


def _with_hires_styles(parsed: Mapping[str, Any]) -> bool:
    version = infotext.version_of(str(parsed.get("Version", "")))
    return version is None or version > SINCE


def taken_out(styles: Iterable[Style], prompt: str, negative_prompt: str) -> Plain:
    """Undo one style after the other, each at most once, as long as one of them fits both prompts."""
    left, names = [style for style in styles if style.prompt or style.negative_prompt], list[str]()
    while True:
        for style in left:
            found = style.undone(prompt, negative_prompt)
            if found is not None:
                (prompt, negative_prompt), names = found, [style.name, *names]
                left.remove(style)
                break
        else:
            return Plain(names, prompt, negative_prompt)
