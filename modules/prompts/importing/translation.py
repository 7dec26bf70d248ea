"""What all readers share: the picture's texts, careful access to JSON that anybody may have written, the result."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from modules.prompts import infotext

_LEAST_FIELDS = 3  # infotext.parse takes a shorter line for a part of the prompt
_NEGATIVE = "Negative prompt:"
_SIZE = re.compile(r"(\d+)x(\d+)")
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?")
_LARGEST = 1e30
_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".sft")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A picture's texts: `infotext` ("" if none), every other text item, its (width, height) in pixels if known."""

    infotext: str
    items: Mapping[str, str]
    size: tuple[int, int] | None

    @property
    def is_infotext(self) -> bool:
        """Whether the text is in A1111's format, whoever wrote it; then JSON elsewhere in the picture counts less."""
        return "Steps" in infotext.parse(self.infotext)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translation:
    """Parameters with A1111's labels, in order; values as they are written. Made by `translation`."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]

    @property
    def text(self) -> str:
        """The infotext; `infotext.parse` of it is `parsed`."""
        return infotext.write(self.prompt, self.negative_prompt, self.fields)

    @property
    def parsed(self) -> dict[str, str]:
        """As `infotext.parse` gives it: a size becomes two entries, the prompts come last."""
        found: dict[str, str] = {}
        for key, value in self.fields.items():
            size = _SIZE.fullmatch(value)
            found |= {f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: value}
        return found | {"Prompt": self.prompt, "Negative prompt": self.negative_prompt}


def translation(prompt: str, negative_prompt: str, fields: Mapping[str, object]) -> Translation | None:
    """The result, without fields that are None; None if fewer than three are left, which is no infotext.

    The format cannot say white space at the borders of a prompt's lines: it goes. A line that starts with
    "Negative prompt:" would begin the negative prompt: it gets a small letter, which text encoders take for the same.
    """
    written = {key: _storable(str(value)) for key, value in fields.items() if value is not None}
    written = {key: value for key, value in written.items() if value != key}  # the format takes it for a word alone
    if len(written) < _LEAST_FIELDS:
        return None
    return Translation(prompt=_sayable(prompt), negative_prompt=_sayable(negative_prompt), fields=written)


def _sayable(prompt: str) -> str:
    lines = (line.strip() for line in _storable(prompt).split("\n"))
    return "\n".join("n" + line[1:] if line.startswith(_NEGATIVE) else line for line in lines).strip()


def _storable(text: str) -> str:
    """Lone surrogates, which JSON can name but no file can hold, become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


# --- JSON of unknown make


def json_object(text: str | None) -> dict[str, Any] | None:
    """The object that the text is in JSON; None if it is something else, broken or nested too deeply."""
    if not text or not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def members(value: object) -> dict[str, Any]:
    """The value if it is an object, else {}."""
    return value if isinstance(value, dict) else {}


def elements(value: object) -> list[Any]:
    """The value if it is an array, else []."""
    return value if isinstance(value, list) else []


def words(value: object) -> str:
    """The value if it is text, else ""."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | float | None:
    """The value if it is a finite number below 1e30 in size, or a text that says one; else None."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    small = abs(value) < _LARGEST and (isinstance(value, int) or math.isfinite(value))
    return value if small else None


def whole(value: object) -> int | None:
    """A number as a whole one, 7.0 as 7; None for fractions and what is no number."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def short(value: float) -> str:
    """A number in as few digits as say it: 1, 0.8."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


# --- fields


def stem(name: object) -> str | None:
    r"""A model's name from the name of its file: "sub\folder/model.safetensors" -> "model"; None for "" and "None"."""
    base = words(name).replace("\\", "/").rpartition("/")[2].strip()
    ending = next((ending for ending in _ENDINGS if base.lower().endswith(ending)), "")
    base = base[: len(base) - len(ending)]
    return None if base.lower() in ("", "none") else base


def size_of(width: object, height: object, otherwise: tuple[int, int] | None) -> str | None:
    """A field's "512x768"; `otherwise` where one of the sides is no positive number, None if that is None too."""
    sides = whole(width), whole(height)
    if sides[0] and sides[1] and min(sides[0], sides[1]) > 0:
        return f"{sides[0]}x{sides[1]}"
    return f"{otherwise[0]}x{otherwise[1]}" if otherwise else None


def lora_tag(name: object, unet: object, text_encoder: object = None) -> str:
    """A1111's "<lora:name:weight>", or "<lora:name:text encoder:unet>" where the two weights differ; "" if nameless."""
    called = stem(name)
    if called is None:
        return ""
    strength = number(unet)
    strength = 1 if strength is None else strength
    other = number(text_encoder)
    both = strength if other is None else other
    return f"<lora:{called}:{short(both)}>" if both == strength else f"<lora:{called}:{short(both)}:{short(strength)}>"


def with_tags(prompt: str, tags: list[str]) -> str:
    """The prompt with network tags behind it."""
    return " ".join(part for part in (prompt, *tags) if part)
