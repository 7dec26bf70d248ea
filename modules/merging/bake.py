"""LoRAs for the tensors of a single-file checkpoint: what each adds, under the names that the file has.

Networks know the layers of a built model; here the model is built without numbers (on the meta device), and the paths
of its layers are led back to the file's names. For the UNet families (`loading.ldm`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from modules.core.device import Placement
from modules.core.errors import BadRequest
from modules.loading import ldm, ldm_names
from modules.loading.families import UNET as UNET_PREFIX
from modules.loading.families import Family
from modules.loading.family import TextTower
from modules.loading.header import Header
from modules.loading.parts import Source
from modules.networks import lora
from modules.networks.deltas import Delta
from modules.networks.files import NetworkFile
from modules.networks.names import UNET, Layers

BUILDER = "modules.loading.ldm:build"
_NOWHERE = torch.device("meta")


@dataclasses.dataclass(frozen=True)
class Addition:
    """strength * delta; third: which of three stacked matrices it belongs to, None: the whole tensor."""

    strength: float
    delta: Delta
    third: int | None = None


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a layer's tensor lies in the file."""

    name: str
    third: int | None = None


def additions(header: Header, family: Family, loras: Sequence[tuple[NetworkFile, float]]) -> dict[str, list[Addition]]:
    """Name of a tensor in the file -> what is added to it, in order. Raises DamagedFile, BadRequest."""
    if not loras:
        return {}
    if family.build != BUILDER:
        raise BadRequest(f"loras: baking into {family.title} models is not possible yet.", field="loras")
    modules, places = _skeleton(header, family)
    layers = Layers(modules)
    found: dict[str, list[Addition]] = {}
    for file, strength in loras:
        for change in lora.read(file, layers).changes:
            for attribute, delta in (("weight", change.weight), ("bias", change.bias)):
                place = places.get((id(change.layer.module), attribute))
                if delta is not None and place is not None:
                    found.setdefault(place.name, []).append(Addition(strength, delta, place.third))
    return found


def added(tensor: Tensor, changes: Sequence[Addition]) -> Tensor:
    """A float32 tensor with the changes, one after the other."""
    total = tensor.clone()
    for each in changes:
        part = total if each.third is None else total.chunk(3)[each.third]
        change = each.delta.to(torch.device("cpu"), each.delta.precision).delta(part.to(each.delta.precision))
        part += each.strength * change.float()
    return total


def _skeleton(header: Header, family: Family) -> tuple[dict[str, nn.Module], Mapping[tuple[int, str], Place]]:
    """(the parts that networks know, (id of a layer, "weight" or "bias") -> its place in the file)."""
    weights = {name: torch.empty(info.shape, device=_NOWHERE) for name, info in header.tensors.items()}
    placement = Placement(device=_NOWHERE, dtype=torch.float32, vae_dtype=torch.float32)
    source = Source(header=header, family=family, weights=weights, placement=placement, home=_NOWHERE)
    denoiser, towers = ldm.unet(source), ldm.text(source).towers
    names = {path: Place(UNET_PREFIX + name) for path, name in ldm_names.unet(denoiser.state_dict()).items()}
    places = _by_layer(denoiser, names)
    for tower, facts in zip(towers.values(), family.towers, strict=True):
        places |= _by_layer(tower, _text_names(tower, facts, header))
    return {UNET: denoiser, **towers}, places


def _by_layer(module: nn.Module, names: Mapping[str, Place]) -> dict[tuple[int, str], Place]:
    found = {}
    for path, layer in module.named_modules():
        for attribute in ("weight", "bias"):
            place = names.get(f"{path}.{attribute}")
            if place is not None:
                found[id(layer), attribute] = place
    return found


def _text_names(tower: nn.Module, facts: TextTower, header: Header) -> dict[str, Place]:
    """Path of each tensor in a text encoder -> its place."""
    paths = list(tower.state_dict())
    if facts.layout == "open_clip":
        long = {f"text_model.{path}": path for path in paths}
        return {
            long[source]: Place(facts.prefix + name, third if len(sources) > 1 else None)
            for name, sources in ldm_names.open_clip(long).items()
            for third, source in enumerate(sources)
        }
    spelled = {path: (f"{facts.prefix}text_model.{path}", f"{facts.prefix}{path}") for path in paths}
    return {
        path: Place(next(name for name in candidates if name in header.tensors))
        for path, candidates in spelled.items()
        if any(name in header.tensors for name in candidates)
    }
