"""A merge with every question answered: which files, which tensors of which type, under which name it is saved.

Only headers are read. Called when a merge is submitted (as the check) and again when it runs.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from modules.core.errors import BadRequest
from modules.loading import families, opening
from modules.loading.families import Family
from modules.loading.header import Header, TensorInfo
from modules.loading.library import Checkpoint, Library
from modules.loading.vaes import NONE, VaeFile
from modules.merging import blocks
from modules.merging.request import DIFFERENCE, NOTHING, SUM, Merge

_FIELDS = ("primary_model_name", "secondary_model_name", "tertiary_model_name")
_SORTS = {9: "inpainting", 8: "instruct-pix2pix", 5: "depth"}
"""Input channels of a UNet -> what A1111 calls the model."""
_FIRST = "model.diffusion_model.input_blocks.0.0.weight"
_FLOATS = ("F16", "BF16", "F32", "F64")
"""Types that are merged; what is narrower comes out as in A."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """checkpoints and headers: A, B, C as far as they are needed; infos: the result's tensors in order; merged: those
    that the formula is applied to; sort: "inpainting", "instruct-pix2pix" or "" for what the result is.
    """

    request: Merge
    checkpoints: tuple[Checkpoint, ...]
    headers: tuple[Header, ...]
    family: Family
    infos: Mapping[str, TensorInfo]
    merged: frozenset[str]
    multiplier: Callable[[str], float]
    vae: VaeFile | None
    sort: str
    target: Path


def make(request: Merge, library: Library, folder: Path) -> Plan:
    """Answer every question; folder: where the result goes. Raises BadRequest, NotFound, DamagedFile."""
    request.check()
    checkpoints = tuple(library.find(name, field=field) for name, field in zip(request.names, _FIELDS, strict=False))
    headers = tuple(opening.header(checkpoint.path) for checkpoint in checkpoints)
    family = _family(checkpoints, headers)
    first = headers[0]
    discarded = re.compile(request.discard_weights) if request.discard_weights else None
    names = [name for name in first.tensors if not (discarded and discarded.search(name))]
    if not names:
        raise BadRequest("discard_weights: nothing would be left.", field="discard_weights")
    merged = frozenset(name for name in names if _takes_part(name, headers))
    _check_shapes(merged, checkpoints, headers)
    infos = {
        name: TensorInfo(_dtype(name, headers, request, name in merged), first.tensors[name].shape) for name in names
    }
    sort = _sort(headers) if len(headers) > 1 else ""
    return Plan(
        request=request,
        checkpoints=checkpoints,
        headers=headers,
        family=family,
        infos=infos,
        merged=merged,
        multiplier=blocks.multipliers(names, request.block_weights, request.multiplier),
        vae=None if request.bake_in_vae in (NONE, "") else library.vaes.find(request.bake_in_vae, field="bake_in_vae"),
        sort=sort,
        target=_target(request, checkpoints, sort, folder),
    )


def _family(checkpoints: tuple[Checkpoint, ...], headers: tuple[Header, ...]) -> Family:
    found = [families.detect(header) for header in headers]
    for checkpoint, field, family in zip(checkpoints, _FIELDS, found, strict=False):
        if family.id != found[0].id:
            kinds = f"{checkpoint.name} is a {family.title} model, {checkpoints[0].name} a {found[0].title} one"
            raise BadRequest(f"{kinds}; only models of one family can be merged.", field=field)
    return found[0]


def _takes_part(name: str, headers: tuple[Header, ...]) -> bool:
    """Floating-point tensors that all models have. The schedule's numbers and position ids stay A's: A1111 merges what
    has "model" in its name, which is the same for its files.
    """
    if len(headers) < 2 or "." not in name or name.startswith("denoiser.") or name.endswith(".position_ids"):
        return False
    return all(name in header.tensors and header.tensors[name].dtype in _FLOATS for header in headers)


def _check_shapes(names: frozenset[str], checkpoints: tuple[Checkpoint, ...], headers: tuple[Header, ...]) -> None:
    first, *others = headers
    for checkpoint, field, header in zip(checkpoints[1:], _FIELDS[1:], others, strict=False):
        for name in sorted(names):
            a, b = first.tensors[name].shape, header.tensors[name].shape
            if a == b or (name == _FIRST and a[1] in _SORTS and b[1] == 4):
                continue
            if name == _FIRST and a[1] == 4 and b[1] in _SORTS:
                raise BadRequest(
                    f"{checkpoint.name} is an {_SORTS[b[1]]} model and {checkpoints[0].name} is not: make it A.",
                    field=field,
                )
            raise BadRequest(
                f"{checkpoint.name} and {checkpoints[0].name} are of different sizes: {name} is {b} and {a}.",
                field=field,
            )
    if len(others) == 2:
        for name in sorted(names):
            if others[0].tensors[name].shape != others[1].tensors[name].shape:
                raise BadRequest(
                    f"{checkpoints[1].name} and {checkpoints[2].name} are of different sizes: {name}.", field=_FIELDS[2]
                )


def _dtype(name: str, headers: tuple[Header, ...], request: Merge, merged: bool) -> str:
    """As torch promotes: the wider type, and float32 for the two 16-bit ones. Half: float32 becomes float16, but for
    the noise schedule, which those digits would bend.
    """
    own = headers[0].tensors[name].dtype
    wanted = {header.tensors[name].dtype for header in headers} if merged else {own}
    mixed = wanted >= {"F16", "BF16"}
    dtype = own if own not in _FLOATS else max(wanted | ({"F32"} if mixed else set()), key=_FLOATS.index)
    return "F16" if request.save_as_half and dtype == "F32" and "." in name else dtype


def _sort(headers: tuple[Header, ...]) -> str:
    """What the result is called where A has more input channels than B."""
    shapes = [header.tensors[_FIRST].shape for header in headers[:2] if _FIRST in header.tensors]
    return _SORTS.get(shapes[0][1], "") if len(shapes) == 2 and shapes[0] != shapes[1] else ""


def _target(request: Merge, checkpoints: tuple[Checkpoint, ...], sort: str, folder: Path) -> Path:
    name = request.custom_name.strip() or _described(request, [each.model_name for each in checkpoints])
    if name != Path(name).name or name.startswith(".") or any(ord(character) < 32 for character in name):
        raise BadRequest(f'custom_name: "{name}" is not a plain file name.', field="custom_name")
    target = folder / ".".join(filter(None, (name, sort, request.checkpoint_format)))
    if target.exists():
        raise BadRequest(f"{target.name} exists already; give the result another custom_name.", field="custom_name")
    if len(target.name.encode()) > 240:
        raise BadRequest("The result's name is too long; give it a custom_name.", field="custom_name")
    return target


def _described(request: Merge, names: list[str]) -> str:
    """A1111's names for results."""
    multiplier = round(request.multiplier, 2)
    return {
        NOTHING: lambda: names[0],
        SUM: lambda: f"{round(1 - request.multiplier, 2)}({names[0]}) + {multiplier}({names[1]})",
        DIFFERENCE: lambda: f"{names[0]} + {multiplier}({names[1]} - {names[2]})",
    }[request.interp_method]()
