"""Programs whose infotext is one plain JSON object: Fooocus, SwarmUI, Draw Things."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from modules.prompts.importing.names import sampling
from modules.prompts.importing.translation import (
    Source,
    Translation,
    elements,
    json_object,
    lora_tag,
    members,
    number,
    short,
    size_of,
    stem,
    translation,
    whole,
    with_tags,
    words,
)


def fooocus(source: Source) -> Translation | None:
    """Fooocus 2.2 to 2.5 (metadata scheme "fooocus"; its scheme "a1111" is A1111's format).

    The prompts are the complete ones, with styles and expansion, joined by ", " as Fooocus joins them for A1111.
    """
    facts = json_object(source.infotext) or {}
    if "guidance_scale" not in facts or not {"base_model", "performance", "resolution"} & set(facts):
        return None
    loras = [elements(one) for one in elements(facts.get("loras"))]
    tags = [lora_tag(one[0], one[1]) for one in loras if len(one) > 1]
    tags = tags or [_combined(words(facts[key])) for key in sorted(facts) if key.startswith("lora_combined_")]
    sides = re.findall(r"\d{1,6}", words(facts.get("resolution"))) or [""]
    fields = {
        "Steps": whole(facts.get("steps")),
        **sampling(words(facts.get("sampler")), words(facts.get("scheduler"))),
        "CFG scale": number(facts.get("guidance_scale")),
        "Seed": whole(facts.get("seed")),
        "Size": size_of(sides[0], sides[-1], source.size),
        "Model hash": words(facts.get("base_model_hash"))[:10] or None,
        "Model": stem(facts.get("base_model")),
        "VAE": _vae(facts.get("vae")),
        "Clip skip": whole(facts.get("clip_skip")),
        "Refiner": stem(facts.get("refiner_model")),
        "Refiner switch at": number(facts.get("refiner_switch")) if stem(facts.get("refiner_model")) else None,
        "Styles": words(facts.get("styles")) or None,
        "Performance": words(facts.get("performance")) or None,
        "Sharpness": number(facts.get("sharpness")),
        "Version": words(facts.get("version")) or "Fooocus",
    }
    prompt = with_tags(_full(facts, "full_prompt", "prompt"), tags)
    return translation(prompt, _full(facts, "full_negative_prompt", "negative_prompt"), fields)


def _full(facts: Mapping[str, Any], full: str, plain: str) -> str:
    return ", ".join(words(part) for part in elements(facts.get(full)) if words(part)) or words(facts.get(plain))


def _combined(text: str) -> str:
    """ "name : 0.5", or "True : name : 0.5" -> a tag; "" for one that is switched off."""
    parts = text.split(" : ")
    return "" if len(parts) < 2 or parts[0] == "False" else lora_tag(parts[-2], parts[-1])


def _vae(value: object) -> str | None:
    return None if words(value).startswith("Default") else stem(value)


def swarmui(source: Source) -> Translation | None:
    """SwarmUI 0.6 to 0.9: everything is in the member `sui_image_params`."""
    facts = members((json_object(source.infotext) or {}).get("sui_image_params"))
    if not facts:
        return None
    loras, weights = elements(facts.get("loras")), elements(facts.get("loraweights"))
    weights = weights + [1] * len(loras)
    fields = {
        "Steps": whole(facts.get("steps")),
        **sampling(words(facts.get("sampler") or facts.get("comfyuisampler")), _swarm_scheduler(facts)),
        "CFG scale": number(facts.get("cfgscale")),
        "Seed": whole(facts.get("seed")),
        "Size": size_of(facts.get("width"), facts.get("height"), source.size),
        "Model": stem(facts.get("model")),
        "VAE": _vae(facts.get("vae")),
        "Denoising strength": number(facts.get("initimagecreativity")),
        "Variation seed": whole(facts.get("variationseed")),
        "Variation seed strength": number(facts.get("variationseedstrength")),
        "RNG": "CPU",
        "Version": f"SwarmUI {words(facts.get('swarm_version'))}".strip(),
    }
    tags = [lora_tag(name, weight) for name, weight in zip(loras, weights, strict=False)]
    return translation(with_tags(words(facts.get("prompt")), tags), words(facts.get("negativeprompt")), fields)


def _swarm_scheduler(facts: Mapping[str, Any]) -> str:
    return words(facts.get("scheduler") or facts.get("comfyuischeduler"))


def drawthings(source: Source) -> Translation | None:
    """Draw Things, pictures of 2023 to 2025: JSON in the EXIF comment or, in PNG, inside the XMP packet."""
    facts = json_object(source.infotext) or json_object(_xmp_comment(source.items.get("XML:com.adobe.xmp", ""))) or {}
    if not ("c" in facts and "uc" in facts and "sampler" in facts):
        return None
    width, _, height = words(facts.get("size")).partition("x")
    tags = [lora_tag(members(one).get("model"), members(one).get("weight")) for one in elements(facts.get("lora"))]
    skip = whole(facts.get("clip_skip"))
    refiner = stem(facts.get("refiner"))
    strength = number(facts.get("strength"))
    fields = {
        "Steps": whole(facts.get("steps")),
        **sampling(words(facts.get("sampler"))),
        "CFG scale": number(facts.get("scale")),
        "Seed": whole(facts.get("seed")),
        "Size": size_of(width, height, source.size),
        "Model": stem(facts.get("model")),
        "Denoising strength": short(strength) if strength is not None and strength < 1 else None,
        "Clip skip": skip if skip and skip > 1 else None,
        "Refiner": refiner,
        "Refiner switch at": number(facts.get("refiner_start")) if refiner else None,
        "Seed mode": words(facts.get("seed_mode")) or None,
        "Version": "Draw Things",
    }
    return translation(with_tags(words(facts.get("c")), tags), words(facts.get("uc")), fields)


def _xmp_comment(packet: str) -> str:
    """The text of `exif:UserComment` in an XMP packet, "" if there is none."""
    _, opened, rest = packet.partition("<exif:UserComment>")
    inside, closed, _ = rest.partition("</exif:UserComment>")
    if not (opened and closed):
        return ""
    return html.unescape(re.sub(r"<[^<>]*>", "", inside)).strip()
