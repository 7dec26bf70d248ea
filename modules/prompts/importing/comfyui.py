"""ComfyUI: PNG chunks `prompt` (the graph as run) and `workflow` (as drawn), ComfyUI 0.1 to 0.3, 2023 to 2026.

The walk goes from the output back to the samplers, and from the first of them to prompts, model and size. A second
sampler behind an upscaler is A1111's hires pass, one with another checkpoint at the same size its refiner. Nodes are
told apart by their inputs rather than their class, so that most custom nodes are understood too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modules.prompts.importing.names import sampling
from modules.prompts.importing.nodes import Graph, Node, as_drawn, as_run
from modules.prompts.importing.translation import (
    Source,
    Translation,
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

_LATENT = ("latent_image", "samples", "latent", "pixels", "image", "images", "optional_latent")
_MODEL = ("model", "guider", "base_model", "MODEL")
_CLIP = ("clip", "CLIP", "conditioning", "positive", "conditioning_1", "conditioning_to")
_HELPERS = ("guider", "noise", "sampler", "sigmas")
_CHECKPOINT = ("ckpt_name", "unet_name", "base_ckpt_name", "model_name")


def read(source: Source) -> Translation | None:
    """The parameters of the picture's graph; None without a graph or without a sampler in it."""
    if source.is_infotext:
        return None
    pasted = json_object(source.infotext)
    for graph in (
        as_run(json_object(source.items.get("prompt"))),
        as_drawn(json_object(source.items.get("workflow"))),
        as_run(pasted),
        as_drawn(pasted),
    ):
        found = _read(graph, source.size) if graph else None
        if found is not None:
            return found
    return None


def _read(graph: Graph, size: tuple[int, int] | None) -> Translation | None:
    passes = _passes(graph)
    if not passes:
        return None
    first = passes[-1]
    settings = _Settings(graph, first)
    latent = _latent(graph, first)
    denoise = number(settings.value("denoise"))
    model = _checkpoint(graph, first)
    skip = _clip_skip(graph, settings.side("positive"))
    fields: dict[str, object] = {
        "Steps": whole(settings.value("steps")),
        **sampling(settings.name("sampler_name"), settings.name("scheduler")),
        "CFG scale": number(settings.value("cfg")),
        "Seed": whole(settings.value("seed", "noise_seed")),
        "Size": size_of(graph.value(latent, *_WIDTH), graph.value(latent, *_HEIGHT), size),
        "Model": model,
        "VAE": _vae(graph),
        "Denoising strength": denoise if denoise is not None and denoise < 1 else None,
        "Clip skip": -skip if skip is not None and skip < -1 else None,
        "Distilled CFG Scale": _guidance(graph, settings.side("positive")),
        "RNG": "CPU",
        **(_second_pass(graph, passes[0], first, model) if len(passes) > 1 else {}),
        "Version": "ComfyUI",
    }
    prompt = with_tags(_prompt(graph, settings.side("positive"), "positive"), _loras(graph, first))
    return translation(prompt, _prompt(graph, settings.side("negative"), "negative"), fields)


_WIDTH = ("width", "empty_latent_width")
_HEIGHT = ("height", "empty_latent_height")


# --- samplers

_OF_CLASS = {
    "KarrasScheduler": ("scheduler", "karras"),
    "ExponentialScheduler": ("scheduler", "exponential"),
    "PolyexponentialScheduler": ("scheduler", "polyexponential"),
    "AlignYourStepsScheduler": ("scheduler", "align_your_steps"),
    "BetaSamplingScheduler": ("scheduler", "beta"),
    "SDTurboScheduler": ("scheduler", "turbo"),
    "SamplerEulerAncestral": ("sampler_name", "euler_ancestral"),
    "SamplerDPMPP_SDE": ("sampler_name", "dpmpp_sde"),
    "SamplerDPMPP_2M_SDE": ("sampler_name", "dpmpp_2m_sde"),
    "SamplerDPMPP_3M_SDE": ("sampler_name", "dpmpp_3m_sde"),
    "SamplerLMS": ("sampler_name", "lms"),
}


class _Settings:
    """A sampler's inputs together with those of the guider, noise, sampler and sigmas that it is wired to."""

    def __init__(self, graph: Graph, sampler: Node) -> None:
        self._graph = graph
        self._nodes = [sampler]
        for key in _HELPERS:
            self._nodes += graph.upstream(graph.behind(sampler.inputs.get(key)), (key,))

    def value(self, *keys: str) -> Any:
        values = (self._graph.value(node, *keys) for node in self._nodes)
        return next((value for value in values if value is not None), None)

    def name(self, key: str) -> str:
        """The sampler's or scheduler's name; of nodes that are one sampler or scheduler each, their class says it."""
        kinds = [_OF_CLASS[node.kind] for node in self._nodes if node.kind in _OF_CLASS]
        return words(self.value(key)) or next((name for field, name in kinds if field == key), "")

    def side(self, side: str) -> object:
        """The input that is the "positive" or "negative" conditioning; None if there is none."""
        keys = (side, "conditioning") if side == "positive" else (side,)
        found = (node.inputs[key] for node in self._nodes for key in keys if key in node.inputs)
        return next(found, None)


def _is_sampler(node: Node) -> bool:
    has = node.inputs.keys()
    whole_one = "sampler_name" in has and "steps" in has and bool({"seed", "noise_seed"} & has)
    return whole_one or {"sampler", "sigmas"} <= has


def _passes(graph: Graph) -> list[Node]:
    """The samplers that the picture went through, the last one first."""
    samplers = [node for node in graph.nodes.values() if _is_sampler(node)]
    before = {node.id: _sampler_behind(graph, node) for node in samplers}
    earlier = {node.id for node in before.values() if node is not None}
    last = next((node for node in samplers if node.id not in earlier), samplers[0] if samplers else None)
    chain: list[Node] = []
    while last is not None and last not in chain:
        chain.append(last)
        last = before[last.id]
    return chain


def _sampler_behind(graph: Graph, sampler: Node) -> Node | None:
    walk = graph.upstream(sampler, _LATENT)
    return next((node for node in walk if node is not sampler and _is_sampler(node)), None)


def _latent(graph: Graph, sampler: Node) -> Node | None:
    """The node that says the size of the sampler's latent; None if it comes from a picture."""
    walk = list(graph.upstream(sampler, _LATENT))
    return next((node for node in walk if any(key in node.inputs for key in _WIDTH)), None)


def _second_pass(graph: Graph, last: Node, first: Node, model: str | None) -> Mapping[str, object]:
    """The last sampler as A1111's hires pass or refiner, whose fields come without those of a first pass."""
    between = []
    for node in graph.upstream(last, _LATENT):
        if node is first:
            break
        between.append(node)
    enlarging = next((node for node in between if _enlarges(node)), None)
    settings = _Settings(graph, last)
    if enlarging is None:
        return _refiner(graph, last, settings, model)
    sides = whole(graph.value(enlarging, "width")), whole(graph.value(enlarging, "height"))
    upscaler = stem(next((graph.value(node, "model_name") for node in _loaders(graph, between)), None))
    return {
        "Denoising strength": number(settings.value("denoise")),
        "Hires upscale": number(graph.value(enlarging, "scale_by")),
        "Hires resize": size_of(*sides, None),
        "Hires steps": whole(settings.value("steps")),
        "Hires upscaler": upscaler or _LATENT_MODES.get(words(graph.value(enlarging, "upscale_method")), "Latent"),
    }


_LATENT_MODES = {"nearest-exact": "Latent (nearest-exact)", "bicubic": "Latent (bicubic)"}


def _enlarges(node: Node) -> bool:
    return "upscale_method" in node.inputs or "upscale_model" in node.inputs


def _loaders(graph: Graph, between: Sequence[Node]) -> list[Node]:
    found = [graph.behind(node.inputs.get("upscale_model")) for node in between]
    return [node for node in found if node is not None]


def _refiner(graph: Graph, last: Node, settings: _Settings, model: str | None) -> Mapping[str, object]:
    refiner = _checkpoint(graph, last)
    if refiner in (None, model):
        return {}
    start, steps = number(settings.value("start_at_step")), number(settings.value("steps"))
    share = round(start / steps, 4) if start and steps and 0 < start < steps else None
    return {"Refiner": refiner, "Refiner switch at": share}


# --- models


def _checkpoint(graph: Graph, sampler: Node) -> str | None:
    walk = graph.upstream(sampler, _MODEL)
    return next((name for node in walk if (name := stem(graph.value(node, *_CHECKPOINT)))), None)


def _loras(graph: Graph, sampler: Node) -> list[str]:
    """Tags of the networks on the way from the checkpoint to the sampler, in the order in which they are applied."""
    found: list[str] = []
    for node in graph.upstream(sampler, _MODEL):
        found = [tag for tag in (*_lora(graph, node), *_stacked(node)) if tag] + found
    return found


def _lora(graph: Graph, node: Node) -> list[str]:
    if "lora_name" not in node.inputs:
        return []
    unet = graph.value(node, "strength_model", "lora_model_strength", "strength")
    text = number(graph.value(node, "strength_clip", "lora_clip_strength"))
    return [lora_tag(graph.value(node, "lora_name"), unet, 0 if text is None else text)]


def _stacked(node: Node) -> list[str]:
    """Nodes with many networks at once (rgthree's): {"on": true, "lora": name, "strength": 1, "strengthTwo": null}."""
    entries = [members(value) for value in node.inputs.values()]
    chosen = [entry for entry in entries if "lora" in entry and entry.get("on") is True]
    return [lora_tag(entry["lora"], entry.get("strength"), entry.get("strengthTwo")) for entry in chosen]


def _vae(graph: Graph) -> str | None:
    """The first VAE that a node which decodes is wired to."""
    wired = [node.inputs["vae"] for node in graph.nodes.values() if {"samples", "vae"} <= node.inputs.keys()]
    return next((name for link in wired if (name := stem(graph.value(graph.behind(link), "vae_name")))), None)


def _clip_skip(graph: Graph, conditioning: object) -> int | None:
    """ComfyUI counts layers from the end: -2 is A1111's Clip skip 2."""
    walk = graph.upstream(graph.behind(conditioning), _CLIP)
    return next((whole(n) for node in walk if (n := graph.value(node, "stop_at_clip_layer")) is not None), None)


def _guidance(graph: Graph, conditioning: object) -> int | float | None:
    walk = graph.upstream(graph.behind(conditioning), ("conditioning", "positive"))
    return next((number(graph.value(node, "guidance")) for node in walk if "guidance" in node.inputs), None)


# --- prompts

_TEXTS = ("text", "text_g", "text_l", "t5xxl", "clip_l", "prompt")
_PARTS = ("conditioning_1", "conditioning_2", "conditioning_to", "conditioning_from", "conditioning")
_STRINGS = (
    *("string_a", "string_b", "text_a", "text_b", "text_c", "text_d", "value", "Value", "string", "text", "prompt"),
    *("String", "Text", "populated_text", "wildcard_text", "any", ""),
)


def _prompt(graph: Graph, conditioning: object, side: str) -> str:
    """The words behind a conditioning, of parts joined as A1111 would ("AND" for combined, "BREAK" for appended)."""
    if isinstance(conditioning, str):
        return conditioning
    return _conditioning(graph, conditioning, side, set())


def _conditioning(graph: Graph, link: object, side: str, seen: set[str]) -> str:
    node = graph.behind(link)
    if node is None or node.id in seen or len(seen) >= _MOST_PARTS or "zeroout" in node.kind.lower():
        return ""
    seen.add(node.id)
    keys = [key for key in _TEXTS if key in node.inputs]
    if keys:
        texts = dict.fromkeys(_string(graph, node.inputs[key], set()) for key in keys)
        return "\n".join(text for text in texts if text)
    if isinstance(node.inputs.get(side), str):
        return words(node.inputs[side])
    parts = [_conditioning(graph, node.inputs[key], side, seen) for key in _parts(node, side)]
    joint = " BREAK " if "conditioning_from" in node.inputs and "concat" in node.kind.lower() else " AND "
    return joint.join(part for part in parts if part)


_MOST_PARTS = 200
"""Nodes that one prompt may be made of: calls nest as deeply."""


def _parts(node: Node, side: str) -> list[str]:
    """The inputs to follow; a node with two sides (a ControlNet's) has one output for each."""
    if side in node.inputs:
        return [side]
    found = [key for key in _PARTS if key in node.inputs]
    return found or [key for key in ("",) if key in node.inputs]


def _string(graph: Graph, value: object, seen: set[str]) -> str:
    """Text, also through primitives, reroutes and nodes that join texts."""
    if isinstance(value, str):
        return value
    node = graph.behind(value)
    if node is None or node.id in seen or len(seen) >= _MOST_PARTS:
        return ""
    seen.add(node.id)
    joins = "string_b" in node.inputs or "text_b" in node.inputs
    keys = [key for key in _STRINGS if key in node.inputs]
    texts = [text for key in keys if (text := _string(graph, node.inputs[key], seen))]
    delimiter = words(node.inputs.get("delimiter")) if joins else ""
    return delimiter.join(texts) if joins else next(iter(texts), "")
