"""Files of the LoRA family -> what each layer of a model gets, checked against the model before anything changes.

`read` tells the kinds apart by the tensors that a layer has (`KINDS`, in A1111's order), whatever the file's dialect
(`names`). Textual inversions inside the file ("bundle_emb.NAME...") come along.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from modules.core.errors import DamagedFile
from modules.networks import files, names
from modules.networks.deltas import (
    BOFT,
    IA3,
    OFT,
    Bias,
    Delta,
    Difference,
    DoRA,
    GLoRA,
    LoHa,
    LoKr,
    LoRA,
    Shifted,
    parted,
    product,
)
from modules.networks.embeddings import TOWERS
from modules.networks.files import NetworkFile
from modules.networks.names import Layer, Layers, Parted

Parts: TypeAlias = Mapping[str, Tensor]
"""The tensors of one layer by what they are."""

_BUNDLE = "bundle_emb."


@dataclasses.dataclass(frozen=True)
class Change:
    """What strength 1 does to a layer: to its weight, to its bias. beside: the bias stands beside a kind with which
    A1111 does not read one.
    """

    layer: Layer
    weight: Delta | None
    bias: Delta | None = None
    beside: bool = False


@dataclasses.dataclass(frozen=True)
class Network:
    """A file made ready for one model. embeddings: words with their vectors for each text encoder, (n, width); unknown:
    tensors that belong to no layer of the model.
    """

    file: NetworkFile
    changes: tuple[Change, ...]
    embeddings: Mapping[str, tuple[Tensor, ...]]
    unknown: int


def read(file: NetworkFile, layers: Layers) -> Network:
    """Make a file ready. Raises DamagedFile for a broken one and for one of another family, saying which."""
    weights = files.tensors(file.path)
    _check_numbers(file, weights)
    grouped: dict[Layer | Parted, dict[str, Tensor]] = {}
    unknown = 0
    for name, tensor in weights.items():
        found = names.place(name)
        layer = layers.find(found.component, found.layer) if found else None
        if found and layer:
            grouped.setdefault(layer, {})[found.part] = tensor
        elif not name.startswith(_BUNDLE):
            unknown += 1
    embeddings = _bundled(weights)
    if not grouped and not embeddings:
        raise DamagedFile(f"{file.path.name} has nothing for this model: {_origin(file, weights)}.")
    changes = tuple(change for target, parts in grouped.items() for change in _changes(file, target, parts, weights))
    return Network(file, changes, embeddings, unknown)


def _check_numbers(file: NetworkFile, weights: Parts) -> None:
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor.float()).all():
            raise DamagedFile(f"{file.path.name}: {name} holds numbers that are not finite.")


def _changes(file: NetworkFile, target: Layer | Parted, parts: Parts, weights: Parts) -> list[Change]:
    try:
        weight, bias = _made(parts)
        changes = [Change(target, weight, bias)] if isinstance(target, Layer) else list(_shared(target, weight, bias))
        beside = not (_KINDS_WITH_BIAS & parts.keys()) and weight is not None
        changes = [dataclasses.replace(each, beside=beside) for each in changes]
        for change in changes:
            for delta, attribute in ((change.weight, "weight"), (change.bias, "bias")):
                if delta is not None:
                    _check_fit(delta, change.layer, attribute)
    except (ValueError, RuntimeError, IndexError, KeyError) as error:
        path = target.path if isinstance(target, Layer) else target.layers[0].path
        raise DamagedFile(
            f"{file.path.name} does not fit this model ({_origin(file, weights)}): {path}: {error}"
        ) from error
    return changes


def _shared(target: Parted, weight: Delta | None, bias: Delta | None) -> Iterator[Change]:
    """A change of a whole matrix, parted among the layers that it is here."""
    rows = [len(layer.weight) for layer in target.layers]
    weights, biases = (
        [None] * len(rows) if whole is None else parted(whole, target.cut, rows) for whole in (weight, bias)
    )
    for layer, own, shift in zip(target.layers, weights, biases, strict=True):
        yield Change(layer, own, shift)


def _made(parts: Parts) -> tuple[Delta | None, Delta | None]:
    """(change of the weight, change of the bias). Raises ValueError for parts that make no kind."""
    bias = parts.get("diff_b", parts.get("b_norm"))
    make = next((make for required, make in KINDS if all(part in parts for part in required)), None)
    if make is None and bias is None:
        raise ValueError(f"unknown kind of network with {', '.join(sorted(parts))}")
    shift = None if bias is None else Bias(difference=bias)
    if make is None:
        return None, shift
    weight = make(parts)
    if "bias" in parts:
        weight = Shifted(inner=weight, shift=parts["bias"], scale=getattr(weight, "scale", 1.0))
    if "dora_scale" in parts:
        weight = DoRA(inner=weight, magnitude=parts["dora_scale"])
    return weight, shift


def _check_fit(delta: Delta, layer: Layer, attribute: str) -> None:
    """Work the change out without numbers: shapes that do not fit raise ValueError or RuntimeError."""
    nowhere = torch.device("meta")
    target = getattr(layer.module, attribute)
    shape = layer.weight.shape[:1] if target is None else target.shape
    result = delta.to(nowhere).delta(torch.empty(shape, device=nowhere))
    if result.shape != shape:
        raise ValueError(f"a change of shape {tuple(result.shape)} for a {attribute} of {tuple(shape)}")


def _scale(parts: Parts, rank: int | None) -> float:
    if "scale" in parts:
        return float(parts["scale"])
    return float(parts["alpha"]) / rank if rank and "alpha" in parts else 1.0


def _lora(parts: Parts) -> Delta:
    scale = _scale(parts, parts["down"].shape[0])
    return LoRA(up=parts["up"], down=parts["down"], middle=parts.get("middle"), scale=scale)


def _loha(parts: Parts) -> Delta:
    return LoHa(
        w1_a=parts["hada_w1_a"],
        w1_b=parts["hada_w1_b"],
        w2_a=parts["hada_w2_a"],
        w2_b=parts["hada_w2_b"],
        t1=parts.get("hada_t1"),
        t2=parts.get("hada_t2"),
        scale=_scale(parts, parts["hada_w1_b"].shape[0]),
    )


def _lokr(parts: Parts) -> Delta:
    """The factors multiplied out; the rank is that of the last factor that has one."""
    ranks = [parts[name].shape[0] for name in ("lokr_w2_b", "lokr_w1_b") if name in parts]
    return LoKr(w1=_factor(parts, "1"), w2=_factor(parts, "2"), scale=_scale(parts, ranks[0] if ranks else None))


def _factor(parts: Parts, number: str) -> Tensor:
    whole = parts.get(f"lokr_w{number}")
    if whole is not None:
        return whole
    first, second, core = (parts.get(f"lokr_{name}") for name in (f"w{number}_a", f"w{number}_b", f"t{number}"))
    if first is None or second is None:
        raise ValueError(f"factor {number} of a Kronecker product is missing")
    return product(first, second, core)


def _ia3(parts: Parts) -> Delta:
    return IA3(factors=parts["factors"], on_input=bool(parts["on_input"]), scale=_scale(parts, None))


def _oft(parts: Parts) -> Delta:
    """Four dimensions make it BOFT; alpha is the constraint."""
    blocks, constraint = parts["oft_blocks"], float(parts.get("alpha", 0.0))
    rescale = parts.get("rescale")
    if blocks.dim() == 4:
        return BOFT(blocks=blocks, constraint=constraint, rescale=rescale)
    return OFT(blocks=blocks, constraint=constraint, rescale=rescale)


def _old_oft(parts: Parts) -> Delta:
    return OFT(blocks=parts["oft_diag"], rotations=True, rescale=parts.get("rescale"))


def _full(parts: Parts) -> Delta:
    return Difference(difference=parts["diff"], scale=_scale(parts, None))


def _norm(parts: Parts) -> Delta:
    return Difference(difference=parts["w_norm"], scale=_scale(parts, None))


def _glora(parts: Parts) -> Delta:
    return GLoRA(a1=parts["a1"], a2=parts["a2"], b1=parts["b1"], b2=parts["b2"], scale=_scale(parts, None))


KINDS: tuple[tuple[tuple[str, ...], Callable[[Parts], Delta]], ...] = (
    (("up", "down"), _lora),
    (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), _loha),
    (("factors", "on_input"), _ia3),
    (("oft_blocks",), _oft),
    (("oft_diag",), _old_oft),
    (("lokr_w1", "lokr_w2"), _lokr),
    (("lokr_w1", "lokr_w2_a", "lokr_w2_b"), _lokr),
    (("lokr_w1_a", "lokr_w1_b", "lokr_w2"), _lokr),
    (("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"), _lokr),
    (("diff",), _full),
    (("w_norm",), _norm),
    (("a1", "a2", "b1", "b2"), _glora),
)
"""The tensors that a kind must have -> how it is made; the first that fits."""
_KINDS_WITH_BIAS = frozenset(("diff", "w_norm"))


def _bundled(weights: Parts) -> dict[str, tuple[Tensor, ...]]:
    """Textual inversions: bundle_emb.NAME.string_to_param.*, or .emb_params, or .clip_l and .clip_g."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        pieces = name.removeprefix(_BUNDLE).split(".")
        if name.startswith(_BUNDLE) and len(pieces) >= 2:
            found.setdefault(pieces[0], {})[".".join(pieces[1:])] = tensor
    return {name: vectors for name, each in found.items() if (vectors := _vectors(each))}


def _vectors(parts: Parts) -> tuple[Tensor, ...]:
    """The vectors (n, width) of one word for each text encoder; none for what is no textual inversion."""
    pair = [parts[tower] for tower in TOWERS if tower in parts]
    found = pair if len(pair) == len(TOWERS) else list(parts.values())
    if (len(found) == 1 or found is pair) and all(each.dim() in (1, 2) for each in found):
        return tuple(each.float().reshape(-1, each.shape[-1]) for each in found)
    return ()


_FAMILIES = {"sdxl": "Stable Diffusion XL", "stable-diffusion-xl": "Stable Diffusion XL", "sd_v2": "Stable Diffusion 2",
             "stable-diffusion-v2": "Stable Diffusion 2", "stable-diffusion-3": "Stable Diffusion 3",
             "stable-diffusion-v1": "Stable Diffusion 1", "sd_v1": "Stable Diffusion 1", "flux": "Flux"}  # fmt: skip
_WIDTHS = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}
_MARKS = {
    "lora_te2_": "Stable Diffusion XL",
    "joint_blocks": "Stable Diffusion 3",
    "joint_transformer_blocks": "Stable Diffusion 3",
    "double_blocks": "Flux",
    "single_transformer_blocks": "Flux",
}


def _origin(file: NetworkFile, weights: Parts) -> str:
    """The family a file was made for, as its metadata, tensor names or widths tell, in words."""
    family = _declared(file.metadata) or _shown(weights)
    return f"it was made for {family}" if family else "it was made for another model family"


def _declared(metadata: Mapping[str, str]) -> str | None:
    if metadata.get("ss_v2") == "True":
        return "Stable Diffusion 2"
    told = " ".join(metadata.get(key, "") for key in ("ss_base_model_version", "modelspec.architecture")).lower()
    return next((family for mark, family in _FAMILIES.items() if mark in told), None)


def _shown(weights: Parts) -> str | None:
    marked = (family for mark, family in _MARKS.items() if any(mark in name for name in weights))
    read = (
        _WIDTHS.get(tensor.shape[1])
        for name, tensor in weights.items()
        if "attn2" in name and "to_k" in name and name.endswith(("down.weight", "lora_A.weight"))
    )
    return next(marked, None) or next((family for family in read if family), None)
