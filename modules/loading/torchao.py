"""Matrices of small numbers as torchao writes them into .safetensors files, read without the package.

A matrix "a.weight" lies there as "a._weight_qdata" with "a._weight_scale", one number for every block of it, and
perhaps "a._weight_zero_point". The file's metadata tell its kind, the sides of its blocks and its number format under
its name, and list all names under "tensor_names" (torchao/prototype/safetensors).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modules.core.errors import DamagedFile
from modules.loading import torchao_small
from modules.loading.header import Header, TensorInfo

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from modules.loading.packed import Parts, Rows

READ = ("Float8Tensor", "Int8Tensor", "IntxUnpackedToInt8Tensor")
"""Kinds that are one stored number for each of the matrix, times a scale."""
PLAIN = "Tensor"
NUMBERS, SCALE, ZERO, BEFORE = "qdata", "scale", "zero_point", "act_pre_scale"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matrix:
    """One that the metadata tell of, and its `packed.Packing`. beside: what the names of its parts begin with; blocks:
    their sides, None where the scales' own shape says it; facts: all that is told.
    """

    name: str
    kind: str
    beside: str
    blocks: tuple[int, ...] | None
    facts: Mapping[str, Any]

    @property
    def small(self) -> bool:
        """Whether `torchao_small` reads it."""
        return self.kind in torchao_small.KINDS

    @property
    def obstacle(self) -> str:
        """The name of its format where that is not read."""
        if self.small:
            return torchao_small.obstacle(self.kind, self.facts)
        return "" if self.kind in READ else self.kind

    def numbers(self, parts: Parts, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Small numbers less the zero points, times the scales."""
        if self.small:
            return torchao_small.product(self.kind, self.facts, parts).to(dtype)
        values, scale, zero = parts[NUMBERS].float(), parts[SCALE], parts.get(ZERO)
        if zero is not None:
            values = values - _spread(zero, values.shape, self.blocks)
        return (values * _spread(scale, values.shape, self.blocks)).to(dtype)

    def rows(self, parts: Parts, shape: tuple[int, ...], which: Rows) -> Parts | None:
        """Where rows have scales of their own, or all have the same."""
        if self.facts.get("is_swizzled_scales") or (self.blocks and self.blocks[0] != 1):
            return None
        across = self.kind in torchao_small.ACROSS
        several = {name: part for name, part in parts.items() if part.numel() > 1}
        down = {name: part.t() if across and name != NUMBERS else part for name, part in several.items()}
        if any(len(part) != shape[0] for part in down.values()):
            return None
        cut = {name: part[which] for name, part in down.items()}
        return {**parts, **{name: part.t() if across and name != NUMBERS else part for name, part in cut.items()}}


def plain(header: Header) -> Header:
    """The header with such matrices under their own names and shapes; itself for any other file.

    Raises DamagedFile for kinds that are not read, naming file and way out.
    """
    matrices = _matrices(header)
    if not matrices:
        return header
    strange = sorted({each.obstacle for each in matrices} - {""})
    strange += [BEFORE for each in matrices[:1] if any(name.endswith(f"_{BEFORE}") for name in header.tensors)]
    if strange:
        raise DamagedFile(
            f"{header.path.name}: its matrices are stored as torchao's {', '.join(strange)}, which Easel does not read."
            " Take the file in bfloat16, float16 or 8 bits, as GGUF, or as bitsandbytes writes it."
        )
    parts = tuple(each.beside for each in matrices)
    kept = {name: info for name, info in header.tensors.items() if not name.startswith(parts)}
    own = {each.name: TensorInfo("BF16", _shape(each, header.shape(each.beside + NUMBERS))) for each in matrices}
    return dataclasses.replace(header, tensors=kept | own)


def packed(weights: Mapping[str, Tensor], header: Header) -> dict[str, Tensor]:
    """The tensors of a file that `plain` accepts, such matrices packed, in bfloat16 unless something else is asked for.
    header: as it is in the file. Raises DamagedFile where parts are missing or do not fit.
    """
    import torch

    from modules.loading.packed import checked

    result = dict(weights)
    for each in _matrices(header):
        found = {name: result.pop(name) for name in list(result) if name.startswith(each.beside)}
        parts = {name.removeprefix(each.beside): part for name, part in found.items()}
        try:
            shape = _shape(each, tuple(parts[NUMBERS].shape))
            result[each.name] = checked(parts, each, shape, torch.bfloat16)
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
            raise DamagedFile(f"{header.path.name}: the numbers of {each.name} cannot be read ({error}).") from error
    return result


def _matrices(header: Header) -> list[Matrix]:
    if "tensor_names" not in header.metadata:
        return []
    found = []
    for name in _json(header.metadata["tensor_names"]) or ():
        told = _json(header.metadata.get(str(name), ""))
        kind = told.get("_type", PLAIN) if isinstance(told, dict) else PLAIN
        if kind == PLAIN:
            continue
        facts = told["_data"] if isinstance(told.get("_data"), dict) else {}
        sides = facts.get("block_size") if kind != READ[0] else None
        layer, _, own = str(name).rpartition(".")
        beside = f"{layer}._{own}_" if layer else f"_{own}_"
        blocks = tuple(int(side) for side in sides) if isinstance(sides, list) else None
        found.append(Matrix(name=str(name), kind=str(kind), beside=beside, blocks=blocks, facts=facts))
    return found


def _shape(matrix: Matrix, stored: tuple[int, ...]) -> tuple[int, ...]:
    return torchao_small.shape(matrix.kind, matrix.facts, stored) if matrix.small else stored


def _json(text: str) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _spread(each: Tensor, shape: Sequence[int], blocks: Sequence[int] | None) -> Tensor:
    """One number a block -> a tensor that can be laid over `shape`. Raises ValueError where blocks do not fit."""
    if each.numel() == 1:
        return each.float().reshape(())
    counts = tuple(each.shape)
    if blocks is not None:
        counts = tuple(side // block if block > 0 else side for side, block in zip(shape, blocks, strict=True))
    if len(counts) != len(shape) or any(not count or side % count for side, count in zip(shape, counts, strict=True)):
        raise ValueError(f"{counts} blocks in {tuple(shape)}")
    spread = each.float().reshape(counts)
    for place, (side, count) in enumerate(zip(shape, counts, strict=True)):
        if 1 < count < side:
            spread = spread.repeat_interleave(side // count, dim=place)
    return spread
