"""A1111's text of generation parameters ("infotext"), as it stands in the PNG chunk `parameters`.

    a cat in a garden
    Negative prompt: blurry
    Steps: 20, Sampler: Euler, Size: 512x768, Hires prompt: "a dog, big", Version: v1.10.1

`generate.plan` writes it, `web` parses what is pasted or found in a picture. Both directions follow A1111, so that
texts travel between the two programs. What `write` wrote, `parse` reads back, except what the format cannot say: line
ends at the borders of a prompt, white space at the borders of its lines, a prompt line that starts with
"Negative prompt:", keys of other characters than letters, digits, "_", "-", "/" and blanks.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from modules.prompts import emphasis

_NEGATIVE = "Negative prompt:"
_LEAST_PAIRS = 3  # a last line with fewer "key: value" pairs is part of the prompt

_KEY_RUN = re.compile(r"[\w /-]+")
_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])+"(?=,|\Z)')
_BARE = re.compile(r"[^,]*")
_SIZE = re.compile(r"(\d+)x(\d+)")


def write(prompt: str, negative_prompt: str, fields: Mapping[str, object]) -> str:
    """The infotext; fields come in the mapping's order, those that are None are left out.

    A field whose key equals its value is written as the key alone. Values that would not be read back (with a comma,
    colon or line end in them, or quotes or white space at a border) are written as JSON strings.
    """
    pairs = ", ".join(_pair(key, value) for key, value in fields.items() if value is not None)
    negative = f"\n{_NEGATIVE} {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{negative}\n{pairs}".strip()


def parse(text: str) -> dict[str, str]:
    """What the text says: its fields in order, then "Prompt" and "Negative prompt" ("" if none).

    "Size: 512x768" becomes "Size-1": "512" and "Size-2": "768"; any field of that form does. Nothing is added
    (see `with_defaults`). Any text parses, in linear time; raises nothing.
    """
    *lines, last = text.strip().split("\n")
    pairs = list(_pairs(last))
    if len(pairs) < _LEAST_PAIRS:
        lines.append(last)
        pairs = []
    found: dict[str, str] = {}
    for key, value in pairs:
        found.update(_read(key, value))
    prompt, negative = _prompts(lines)
    return found | {"Prompt": prompt, "Negative prompt": negative}


def with_defaults(parsed: Mapping[str, Any], *, backward_compatible: bool = True) -> dict[str, Any]:
    """The result of `parse` and what absent fields meant when it was written, as A1111's /png-info gives it.

    Most values stay text, defaults are text, numbers or booleans as in A1111. An old hypernetwork field is moved into
    the prompt, an old "First pass size" becomes "Size" and "Hires resize". `backward_compatible` is the option
    `auto_backcompat`: fields that bring back the behaviour of the version that made the picture. Raises nothing.
    """
    result: dict[str, Any] = dict(parsed)
    prompts = (str(parsed.get("Prompt", "")), str(parsed.get("Negative prompt", "")))
    _fill(result, {"Clip skip": "1"})
    if result.get("Hypernet"):
        strength = result.get("Hypernet strength", "1.0")
        result["Prompt"] = f"{prompts[0]}<hypernet:{result['Hypernet']}:{strength}>"
    if "Hires resize-1" not in result:
        result |= {"Hires resize-1": 0, "Hires resize-2": 0}
    _fill(result, _HIRES_AND_INPAINT)
    _old_first_pass(result)
    _fill(result, _SAMPLING)
    if result["FP8 weight"] != "Disable":
        _fill(result, {"Cache FP16 weight for LoRA": False})
    if any(_is_weighed(prompt) for prompt in prompts):
        _fill(result, {"Emphasis": "Original"})
    _fill(result, {"Refiner switch by sampling steps": False})
    if backward_compatible:
        result |= _of_version(result)
    return result


_HIRES_AND_INPAINT: dict[str, Any] = {
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
}
_SAMPLING: dict[str, Any] = {
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
}


def _fill(result: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for key, value in defaults.items():
        result.setdefault(key, value)


# --- writing


def _pair(key: str, value: object) -> str:
    return key if key == value else f"{key}: {_quoted(str(value))}"


def _quoted(value: str) -> str:
    plain = value == value.strip() and not value.startswith('"') and not any(mark in value for mark in ",\n:")
    return value if plain else json.dumps(value, ensure_ascii=False)


# --- parsing


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """("key", "value as written") for each "key: value" of the line; keys have at least two characters."""
    position = 0
    while run := _KEY_RUN.search(line, position):
        key = _from_first_letter(run[0])
        position = run.end()
        if len(key) < 2 or line[position : position + 1] != ":":
            continue
        start = _end(_SPACE, line, position + 1)
        value = _QUOTED.match(line, start) or _BARE.match(line, start)
        text = value[0] if value else ""
        yield key, text
        position = start + len(text) + 1


def _end(pattern: re.Pattern[str], line: str, start: int) -> int:
    found = pattern.match(line, start)
    return found.end() if found else start


def _from_first_letter(run: str) -> str:
    return run.lstrip(" /-")


def _read(key: str, written: str) -> dict[str, str]:
    """One field as entries of the result: two for a size."""
    value = _unquoted(written)
    size = _SIZE.fullmatch(value)
    return {f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: value}


def _unquoted(written: str) -> str:
    if len(written) < 2 or written[0] != '"' or written[-1] != '"':
        return written
    with contextlib.suppress(ValueError):  # no JSON: then the quotes belong to the value
        return str(json.loads(written))
    return written


def _prompts(lines: list[str]) -> tuple[str, str]:
    """(prompt, negative prompt): everything from the first line that starts with "Negative prompt:" is the latter."""
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in (line.strip() for line in lines):
        if line.startswith(_NEGATIVE):
            target = negative
            line = line[len(_NEGATIVE) :].strip()
        if line or target:  # empty lines at the beginning do not count
            target.append(line)
    return "\n".join(prompt), "\n".join(negative)


# --- defaults and older versions


def _is_weighed(prompt: str) -> bool:
    return any(weight != 1.0 and piece != emphasis.BREAK for piece, weight in emphasis.parse(prompt))


def _old_first_pass(result: dict[str, Any]) -> None:
    """Before hires fix had a factor, "Size" was the final size and "First pass size" that of the first pass."""
    first = _whole(result, "First pass size", None)
    if first is None:
        return
    final = _whole(result, "Size", (512, 512))
    if final is None or 0 in final:
        return
    if 0 in first:
        first = about_512_squared(*final)
    result |= {"Size-1": first[0], "Size-2": first[1], "Hires resize-1": final[0], "Hires resize-2": final[1]}


def _whole(result: Mapping[str, Any], key: str, default: tuple[int, int] | None) -> tuple[int, int] | None:
    """A size (width, height) of the text; None if it is no size of a picture."""
    sides = result.get(f"{key}-1"), result.get(f"{key}-2")
    if None in sides:
        return default
    if not all(str(side).isdecimal() and len(str(side)) < 7 for side in sides):
        return None
    return int(str(sides[0])), int(str(sides[1]))


def about_512_squared(width: int, height: int) -> tuple[int, int]:
    """The first pass of a picture of this size, as A1111 chose it before hires fix had a factor: multiples of 64."""
    scale = math.sqrt(512 * 512 / (width * height))
    return math.ceil(scale * width / 64) * 64, math.ceil(scale * height / 64) * 64


_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(?:-(?:(\d{1,9})|(rc)\d{0,9}))?(?:-.*)?", re.I | re.S)


def version_of(text: str) -> tuple[int, int, int, int] | None:
    """ "v1.7.0-225-gabc" -> (1, 7, 0, 225): A1111's number and the commits after it, -1 for a candidate; None if the
    text is not one of A1111's version numbers."""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        return None
    major, minor, patch, commits, candidate = found.groups()
    return int(major), int(minor), int(patch or 0), -1 if candidate else int(commits or 0)


def _of_version(result: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that make newer versions act as the one that wrote the text; a text without version is left alone."""
    version = version_of(str(result.get("Version", "")))
    if version is None:
        return {}
    rules = {
        "Old prompt editing timelines": version < (1, 6, 0, 0) and "[" in str(result.get("Prompt", "")),
        "Pad conds v0": version < (1, 6, 0, 0) and result.get("Sampler") in ("DDIM", "PLMS"),
        "Downcast alphas_cumprod": version < (1, 7, 0, 225),
        "Refiner switch by sampling steps": version < (1, 8, 0, 0) and bool(result.get("Refiner")),
    }
    return {key: True for key, holds in rules.items() if holds}
