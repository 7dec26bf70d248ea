"""NovelAI: PNG chunks Software, Description and Comment (JSON); in WebP the same as one JSON in the EXIF comment.

Follows the pictures of models V1 to V4.5 (2022 to 2025). Fields as A1111 itself reads such pictures, plus what newer
ones say. NovelAI's emphasis becomes A1111's: {x} is (x:1.05), [x] is (x:0.9524), in V4 also "1.5::x ::"; round
brackets, which mean nothing there, are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modules.prompts.importing.names import sampling, schedule_label
from modules.prompts.importing.translation import (
    Source,
    Translation,
    elements,
    json_object,
    members,
    number,
    short,
    size_of,
    translation,
    whole,
    words,
)

_FACTOR = 1.05
_DEEPEST = 200  # brackets; more would not change the picture, but overflow
_OLD_SAMPLERS = frozenset(("", "nai_smea", "nai_smea_dyn"))


def signed(source: Source) -> bool:
    """Whether the picture says that NovelAI made it."""
    return _items(source).get("Software") == "NovelAI"


def read(source: Source) -> Translation | None:
    """The parameters, None if essential ones are missing. Clip skip and ENSD are those that A1111 gives: what imitates
    NovelAI's models there."""
    items = _items(source)
    facts = json_object(items.get("Comment")) or {}
    if items.get("Software") != "NovelAI" or whole(facts.get("steps")) is None:
        return None
    prompt = _prompt(facts, "v4_prompt", words(items.get("Description")) or words(facts.get("prompt")))
    negative = _prompt(facts, "v4_negative_prompt", words(facts.get("uc")))
    name = words(facts.get("sampler")).casefold()
    sampler = {"Sampler": "Euler a"} if name in _OLD_SAMPLERS else sampling(name)
    schedule = schedule_label(words(facts.get("noise_schedule")))
    rescale = number(facts.get("cfg_rescale"))
    fields = {
        "Steps": whole(facts.get("steps")),
        "Sampler": sampler.get("Sampler"),
        "CFG scale": number(facts.get("scale")),
        "Seed": whole(facts.get("seed")),
        "Size": _size(source, facts),
        "Clip skip": 2,
        "ENSD": 31337,
        "Schedule type": schedule or None,
        "CFG rescale": rescale or None,
        "Denoising strength": number(facts.get("strength")) if "Img2Img" in words(facts.get("request_type")) else None,
    }
    return translation(prompt, negative, fields)


def _size(source: Source, facts: Mapping[str, Any]) -> str | None:
    """The picture's own size, as in A1111; the stated one where there is only text."""
    if source.size:
        return size_of(None, None, source.size)
    return size_of(facts.get("width"), facts.get("height"), None)


def _items(source: Source) -> Mapping[str, Any]:
    """The text items, or those packed in the EXIF comment."""
    if source.items.get("Software") == "NovelAI":
        return source.items
    packed = json_object(source.infotext) or {}
    return packed if packed.get("Software") == "NovelAI" else {}


def _prompt(facts: Mapping[str, Any], key: str, otherwise: str) -> str:
    """A prompt in A1111's grammar; V4 keeps one caption for the picture and one a character."""
    caption = members(members(facts.get(key)).get("caption"))
    if not caption:
        return emphasised(otherwise, numbers=False)
    people = [words(members(one).get("char_caption")) for one in elements(caption.get("char_captions"))]
    parts = [words(caption.get("base_caption")) or otherwise, *people]
    return "\n".join(emphasised(part, numbers=True) for part in parts if part)


# --- emphasis

_MARK = re.compile(r"[{}\[\]]|(?<![\w.])-?\d{0,6}\.?\d{1,6}::|::")
_SPECIAL = re.compile(r"[\\()\[\]]")


def emphasised(prompt: str, *, numbers: bool) -> str:
    """NovelAI's emphasis in A1111's grammar; numbers: whether "1.5::x ::" means something (from V4 on).

    Nesting multiplies. Brackets that are not closed end with the text; closing ones that were never opened are text.
    The pieces that `emphasis.parse` finds are those of the prompt, their weights within 0.00005 of NovelAI's.
    """
    written: list[str] = []
    curly = square = 0
    stated, position = 1.0, 0
    for mark in _MARK.finditer(prompt):
        found = mark[0]
        if found.endswith("::") and not numbers:
            continue
        if (found == "}" and not curly) or (found == "]" and not square):
            continue
        written.append(_weighed(prompt[position : mark.start()], curly - square, stated))
        position = mark.end()
        curly += (found == "{") - (found == "}")
        square += (found == "[") - (found == "]")
        if found.endswith("::"):
            stated = float(found[:-2]) if found != "::" else 1.0
    written.append(_weighed(prompt[position:], curly - square, stated))
    return "".join(written)


def _weighed(piece: str, level: int, stated: float) -> str:
    if not piece:
        return ""
    weight = short(round(stated * _FACTOR ** max(-_DEEPEST, min(level, _DEEPEST)), 4))
    plain = _SPECIAL.sub(r"\\\g<0>", piece)
    return plain if weight == "1" else f"({plain}:{weight})"
