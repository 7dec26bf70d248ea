"""Programs that write infotexts in A1111's format with labels of their own: Forge, SD.Next, Civitai's generator.

Fields keep their order; those without a counterpart keep their label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from modules.prompts import infotext
from modules.prompts.importing.names import sampling, schedule_label
from modules.prompts.importing.translation import Source, Translation, translation

_PROMPTS = ("Prompt", "Negative prompt")
_SIZE = re.compile(r"\d+x\d+")
_FORGE = re.compile(r"f\d+\.\d+|neo\b|classic\b")


def forge(source: Source) -> Translation | None:
    """Forge, reForge ("Version: f2.0.1v1.10.1-…") and Forge Neo ("Version: neo"), texts of 2024 to 2026.

    Weights in 8-bit floats are A1111's "FP8 weight". "Distilled CFG Scale" (Neo: "Shift"), "Module 1" … stay.
    """
    parsed = infotext.parse(source.infotext)
    ours = _FORGE.match(parsed.get("Version", "")) or "Diffusion in Low Bits" in parsed
    if not ours or "Steps" not in parsed:
        return None
    fields = _renamed(_fields(parsed), _FORGE_LABELS)
    bits = fields.get("Diffusion in Low Bits", "")
    if bits.startswith("float8"):
        fields.setdefault("FP8 weight", "Enable")
        if "fp16 LoRA" in bits:
            fields.setdefault("Cache FP16 weight for LoRA", "True")
    return translation(parsed["Prompt"], parsed["Negative prompt"], fields)


_FORGE_LABELS = {"Shift": "Distilled CFG Scale", "Hires Shift": "Hires Distilled CFG Scale"}


def sdnext(source: Source) -> Translation | None:
    """SD.Next ("App: SD.Next"), texts of 2023 to 2026 (its `create_infotext`).

    Its sampler names are diffusers' in part, the spacing of noise levels stands in "Sampler sigma". "Parser", "CFG
    rescale", "CFG end", "Pipeline" … stay.
    """
    parsed = infotext.parse(source.infotext)
    if parsed.get("App", "").casefold() != "sd.next":
        return None
    fields = _resampled(_renamed(_fields(parsed), _SDNEXT_LABELS))
    schedule = schedule_label(fields.get("Sampler sigma", ""))
    if schedule and schedule != "flowmatch":
        fields.setdefault("Schedule type", schedule)
    return translation(parsed["Prompt"], parsed["Negative prompt"], fields)


_SDNEXT_LABELS = {
    "Variation strength": "Variation seed strength",
    "Hires scale": "Hires upscale",
    "Hires fixed": "Hires resize",
    "Hires strength": "Denoising strength",
    "Mask weight": "Conditional mask weight",
    "Refiner start": "Refiner switch at",
    "Sampler eta delta": "ENSD",
    "Sampler ENSD": "ENSD",
    "ToMe": "Token merging ratio",
}


def civitai(source: Source) -> Translation | None:
    """Civitai's generator, texts of 2023 to 2026: A1111's fields, then "Civitai resources: [JSON], Civitai metadata:
    {JSON}" without quotes.

    The JSON, which repeats the prompts, is quoted before the fields are read. Resources are not turned into network
    tags: they name pages of the site, not files.
    """
    text = source.infotext
    for label in ("Civitai resources", "Civitai metadata"):
        text = _with_quotes(text, label, max(text.rfind("\nSteps:"), 0))
    if text == source.infotext:
        return None
    parsed = infotext.parse(text)
    return translation(parsed["Prompt"], parsed["Negative prompt"], _resampled(_fields(parsed)))


def _with_quotes(text: str, label: str, start: int) -> str:
    """The text with "label: JSON" as a field that can be read, on the line before if it has one of its own."""
    at = text.find(f"{label}: ", start)
    if at < 0:
        return text
    value = at + len(label) + 2
    try:
        found, end = json.JSONDecoder().raw_decode(text, value)
    except (ValueError, RecursionError):
        return text
    if not isinstance(found, list | dict):
        return text  # it has its quotes already
    before, written = text[:at].rstrip(", \n"), json.dumps(text[value:end], ensure_ascii=False)
    return f"{before}, {label}: {written}{text[end:].lstrip(' ')}"


# --- fields


def _fields(parsed: Mapping[str, str]) -> dict[str, str]:
    """The fields of a parsed infotext with their sizes in one piece again, so that they can be written."""
    fields: dict[str, str] = {}
    for key, value in parsed.items():
        base = key[:-2]
        if key in _PROMPTS or (key.endswith("-2") and base in fields and base not in parsed):
            continue
        size = f"{value}x{parsed.get(base + '-2')}"
        if key.endswith("-1") and len(base) > 1 and base not in parsed and _SIZE.fullmatch(size):
            fields[base] = size
        else:
            fields[key] = value
    return fields


def _renamed(fields: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """The fields under A1111's labels; one that is there already stays."""
    wanted = {key: labels.get(key, key) for key in fields}
    return {(wanted[key] if wanted[key] not in fields else key): value for key, value in fields.items()}


def _resampled(fields: Mapping[str, str]) -> dict[str, str]:
    """Samplers under A1111's names, with the scheduler that is joined to them apart."""
    result: dict[str, str] = {}
    for key, value in fields.items():
        if key == "Sampler":
            result |= sampling(value, fields.get("Schedule type", ""))
        elif key == "Hires sampler":
            result |= {key: sampling(value)["Sampler"]} if sampling(value).get("Sampler") else {}
        elif key != "Schedule type" or "Sampler" not in fields:
            result[key] = value
    return result
