"""A unit as infotexts tell it: `ControlNet 0: "Module: canny, Model: control_canny [d14c016b], Weight: 1, …"`, in
the words of the well-known extension. `parse(write(unit))` gives the unit back but for its pictures.
"""

from __future__ import annotations

from typing import Any

from .preprocessors import find
from .units import Unit

FIELDS = (
    "module",
    "model",
    "weight",
    "resize_mode",
    "processor_res",
    "threshold_a",
    "threshold_b",
    "guidance_start",
    "guidance_end",
    "pixel_perfect",
    "control_mode",
)


def label(number: int) -> str:
    """number: from 0."""
    return f"ControlNet {number}"


def write(values: Any) -> str | None:
    """A unit's dict -> what is told of it; None where it is off."""
    unit = Unit.read(values)
    if unit is None:
        return None
    unit = find(unit.module).bounded(unit)
    told = {_title(name): getattr(unit, name) for name in FIELDS}
    return ", ".join(f"{title}: {str(value).replace(',', ' ').replace(':', ' ')}" for title, value in told.items())


def parse(text: str) -> dict[str, Any] | None:
    """A unit's dict; None where the text tells of none (older versions wrote otherwise)."""
    found: dict[str, Any] = {}
    for part in text.split(", "):
        title, colon, value = part.partition(": ")
        name = "_".join(title.strip().lower().split())
        if colon and name in FIELDS:
            found[name] = value.strip()
    return {"enabled": True, **found} if "module" in found else None


def _title(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split("_"))
