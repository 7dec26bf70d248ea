"""ComfyUI's graph in its two forms, and safe ways to walk it. Used by `comfyui`.

    as run    {"3": {"class_type": "KSampler", "inputs": {"seed": 7, "model": ["4", 0]}}}     chunk `prompt`
    as drawn  {"nodes": [{"id": 3, "type": …, "inputs": […], "widgets_values": […]}], "links": […]}   chunk `workflow`

Links may point nowhere or in circles: every walk sees a node once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modules.prompts.importing.translation import elements, members, words


@dataclasses.dataclass(frozen=True)
class Link:
    """An input that comes from another node's output: the node's id, the output's place."""

    node: str
    slot: int


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """A node: its class and its inputs, values as in JSON or `Link`s."""

    id: str
    kind: str
    inputs: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Graph:
    """Nodes by id."""

    nodes: Mapping[str, Node]

    def behind(self, value: object) -> Node | None:
        """The node that a link points to; None for what is no link or points nowhere."""
        return self.nodes.get(value.node) if isinstance(value, Link) else None

    def upstream(self, start: Node | None, keys: Sequence[str]) -> Iterator[Node]:
        """The node, the one behind the first of these inputs that is linked, and so on; each once."""
        seen: set[str] = set()
        while start is not None and start.id not in seen:
            seen.add(start.id)
            yield start
            link = next((start.inputs[key] for key in keys if isinstance(start.inputs.get(key), Link)), None)
            start = self.behind(link)

    def value(self, node: Node | None, *keys: str) -> Any:
        """The first of these inputs that has a value, also one that a primitive or a reroute passes on; else None."""
        for key in keys if node else ():
            found = node.inputs.get(key) if node else None
            if isinstance(found, Link):
                found = self._passed_on(self.behind(found), keys)
            if found is not None:
                return found
        return None

    def _passed_on(self, node: Node | None, keys: Sequence[str]) -> Any:
        for one in self.upstream(node, (*keys, *_PASSING)):
            found = next((one.inputs[key] for key in (*keys, *_PASSING) if key in one.inputs), None)
            if found is not None and not isinstance(found, Link):
                return found
        return None


_PASSING = ("value", "Value", "int", "float", "number", "seed", "string", "text", "any", "")
"""Inputs of nodes that only hold or pass on a value; "" is the reroute's."""


def as_run(found: Mapping[str, Any] | None) -> Graph | None:
    """The graph of the chunk `prompt`; None if it is none."""
    nodes = {
        key: Node(key, words(node.get("class_type")), {name: _linked(v) for name, v in members(node["inputs"]).items()})
        for key, node in (found or {}).items()
        if isinstance(node, dict) and "class_type" in node and "inputs" in node
    }
    return Graph(nodes) if nodes else None


def _linked(value: object) -> object:
    """[id, slot] is a link. Ids are texts, but some tools write numbers."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int) and isinstance(value[1], int):
        return Link(_key(value[0]), value[1])
    return value


def _key(value: object) -> str:
    """A node's id as text; "" for what cannot be one."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and abs(value) < 10**15 else ""


def as_drawn(found: Mapping[str, Any] | None) -> Graph | None:
    """The graph of the chunk `workflow`: inputs from links and, for the classes known here, from widgets in order;
    None if it is none. Subgraphs are not opened."""
    drawn = [members(node) for node in elements((found or {}).get("nodes"))]
    links = _links(elements((found or {}).get("links")))
    nodes = {}
    for node in drawn:
        inputs = _widgets(node)
        for place in map(members, elements(node.get("inputs"))):
            link = links.get(_key(place.get("link")))
            if link is not None:
                inputs[words(place.get("name"))] = link
        key = _key(node.get("id"))
        nodes[key] = Node(key, words(node.get("type")), inputs)
    return Graph(nodes) if nodes else None


def _links(found: Sequence[Any]) -> dict[str, Link]:
    """Links by id: [id, from node, from output, to node, to input, type]."""
    rows = [row for row in found if isinstance(row, list) and len(row) >= 5]
    return {_key(row[0]): Link(_key(row[1]), row[2] if isinstance(row[2], int) else 0) for row in rows}


def _widgets(node: Mapping[str, Any]) -> dict[str, Any]:
    values = node.get("widgets_values")
    if isinstance(values, dict):
        return dict(values)
    names = _WIDGETS.get(words(node.get("type")), ("value",))
    return {name: value for name, value in zip(names, elements(values), strict=False) if name}


_WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "", "cfg"),
    "RandomNoise": ("noise_seed", ""),
    "CFGGuider": ("cfg",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": ("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "VAELoader": ("vae_name",),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "UpscaleModelLoader": ("model_name",),
    "ImageScaleBy": ("upscale_method", "scale_by"),
}
"""Widgets of ComfyUI's own nodes in the order in which a drawing keeps their values; "" is what stands between."""
