"""InvokeAI: PNG chunks `invokeai_metadata` (3.x to 6.x) and `sd-metadata` (2.x), JSON; `Dream` (1.x), a command line.

Names follow InvokeAI's `CoreMetadataInvocation` and its table of schedulers. InvokeAI draws noise on the CPU, as
A1111 does with RNG CPU. Prompts stay as they are, also where the syntax of weights differs ("word++").
"""

from __future__ import annotations

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
    size_of,
    stem,
    translation,
    whole,
    with_tags,
    words,
)


def read(source: Source) -> Translation | None:
    """The newest of the chunks that can be read; None if there is none."""
    if source.is_infotext:
        return None
    for chunk, reader in (("invokeai_metadata", _current), ("sd-metadata", _second)):
        facts = json_object(source.items.get(chunk))
        if facts:
            return reader(facts, source.size)
    dream = source.items.get("Dream")
    return _first(dream, source.size) if dream else None


def _current(facts: Mapping[str, Any], size: tuple[int, int] | None) -> Translation | None:
    model = members(facts.get("model"))
    tags = [_tag(members(one)) for one in elements(facts.get("loras"))]
    skipped = whole(facts.get("clip_skip"))
    tiled = [facts.get("seamless_x") is True, facts.get("seamless_y") is True]
    fields = {
        "Steps": whole(facts.get("steps")),
        **_sampling(words(facts.get("scheduler"))),
        "CFG scale": number(facts.get("cfg_scale")),
        "Seed": whole(facts.get("seed")),
        "Size": size_of(facts.get("width"), facts.get("height"), size),
        "Model": _name(model),
        "VAE": _name(members(facts.get("vae"))),
        "Denoising strength": number(facts.get("strength")),
        "Clip skip": skipped + 1 if skipped else None,  # InvokeAI counts the layers left out
        "RNG": "GPU" if facts.get("rand_device") == "cuda" else "CPU",
        "Tiling": "True" if any(tiled) else None,
        "CFG rescale": number(facts.get("cfg_rescale_multiplier")) or None,
        "Refiner": _name(members(facts.get("refiner_model"))),
        "Refiner switch at": number(facts.get("refiner_start")),
        "Version": _version(facts.get("app_version")),
    }
    prompt = with_tags(words(facts.get("positive_prompt")), tags)
    return translation(prompt, words(facts.get("negative_prompt")), fields)


def _name(model: Mapping[str, Any]) -> str | None:
    """A model's name: `model_name` in 3.x, `name` from 4.0 on."""
    return stem(model.get("name")) or stem(model.get("model_name"))


def _tag(lora: Mapping[str, Any]) -> str:
    return lora_tag(_name(members(lora.get("model")) or members(lora.get("lora"))), lora.get("weight"))


def _second(facts: Mapping[str, Any], size: tuple[int, int] | None) -> Translation | None:
    """2.x: the parameters are the member `image`, the prompt a list of weighed parts."""
    image = members(facts.get("image"))
    parts = elements(image.get("prompt")) or [image.get("prompt")]
    prompt, negative = _split("\n".join(words(members(part).get("prompt")) or words(part) for part in parts))
    seamless = image.get("seamless") is True
    fields = {
        "Steps": whole(image.get("steps")),
        **_sampling(words(image.get("sampler"))),
        "CFG scale": number(image.get("cfg_scale")),
        "Seed": whole(image.get("seed")),
        "Size": size_of(image.get("width"), image.get("height"), size),
        "Model hash": words(facts.get("model_hash"))[:10] or None,
        "Model": stem(facts.get("model_weights")),
        "Denoising strength": number(image.get("strength")),
        "RNG": "CPU",
        "Tiling": "True" if seamless else None,
        "Version": _version(facts.get("app_version")),
    }
    return translation(prompt, negative, fields)


_FLAG = re.compile(r"(?:^|\s)-([A-Za-z])[ =]?([\w.+-]{1,40})")


def _first(dream: str, size: tuple[int, int] | None) -> Translation | None:
    """1.x: `"a cat [ugly]" -s 50 -S 42 -W 512 -H 512 -C 7.5 -A k_lms`; "-s50" and "-m k_lms" in the oldest."""
    end = dream.rfind('" -')
    start = 1 if dream.startswith('"') else 0
    said, flags = (dream[start:end], dream[end + 1 :]) if end > 0 else _unquoted(dream)
    found = {letter: value for letter, value in _FLAG.findall(flags)}
    prompt, negative = _split(said)
    fields = {
        "Steps": whole(found.get("s")),
        **_sampling(found.get("A", found.get("m", ""))),
        "CFG scale": number(found.get("C")),
        "Seed": whole(found.get("S")),
        "Size": size_of(found.get("W"), found.get("H"), size),
        "Denoising strength": number(found.get("f")),
        "RNG": "CPU",
        "Version": "InvokeAI",
    }
    return translation(prompt, negative, fields) if found else None


def _unquoted(dream: str) -> tuple[str, str]:
    """(prompt, flags) of a command line whose prompt has no quotes: flags begin at the first " -s" or the like."""
    flag = _FLAG.search(dream)
    return (dream[: flag.start()], dream[flag.start() :]) if flag else (dream, "")


_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


def _split(prompt: str) -> tuple[str, str]:
    """Until 2.x what stood in square brackets was the negative prompt -> (prompt, negative prompt)."""
    negative = ", ".join(part.strip() for part in _BRACKETS.findall(prompt) if part.strip())
    return _BRACKETS.sub("", prompt).strip(), negative


_OWN_LEVELS = frozenset(("DDIM", "PLMS", "UniPC", "LCM", "TCD", "DDPM", "deis"))


def _sampling(name: str) -> dict[str, str]:
    """Where no "_k" asks for Karras' levels, they are evenly spaced in time; A1111's Automatic could mean Karras."""
    fields = sampling(name)
    if fields.get("Sampler", "DDIM") not in _OWN_LEVELS:
        fields.setdefault("Schedule type", "Uniform")
    return fields


def _version(value: object) -> str:
    return f"InvokeAI {words(value).removeprefix('v')}".strip()
