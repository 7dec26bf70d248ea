"""Files as bitsandbytes writes them: NF4 and FP4 (Dettmers et al. 2023, https://arxiv.org/abs/2305.14314) and rows of
8-bit whole numbers (https://arxiv.org/abs/2208.07339), read without the package.

A matrix "a.weight" in 4 bits lies there as bytes, with "a.weight.absmax", "a.weight.quant_map" and what is told of it
as JSON; one in 8 bits with "a.SCB".
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modules.core.errors import DamagedFile
from modules.loading.header import Header, TensorInfo

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from modules.loading.packed import Parts, Rows

STATE = (".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
"""How the names end of what is told of a matrix in 4 bits: JSON as bytes."""
ROWS = ".SCB"
"""How the names end of the largest number of each row of a matrix in 8 bits."""
_FORMAT = ".weight_format"
LARGEST, LEVELS, COARSE, COARSE_LEVELS = ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"
_BESIDE = (LARGEST, LEVELS, COARSE, COARSE_LEVELS)
_BYTES = ""
_DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


@dataclasses.dataclass(frozen=True)
class Fours:
    """A `packed.Packing`: two numbers a byte, the first in its high half; each is a place in a table of 16, times the
    largest of its block. block: numbers that share one; coarse: of those, how many share a coarser one; offset: see
    there.
    """

    block: int
    coarse: int = 0
    offset: float = 0.0

    def numbers(self, parts: Parts, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        import torch

        bytes_ = parts[_BYTES].flatten().view(torch.uint8)
        places = torch.stack([bytes_ >> 4, bytes_ & 15], dim=-1).flatten().int()
        values = parts[LEVELS].float()[places][: math.prod(shape)]
        return _blocks(values, self._largest(parts), self.block).reshape(shape).to(dtype)

    def rows(self, parts: Parts, shape: tuple[int, ...], which: Rows) -> Parts | None:
        """Largest numbers that are stored coarsely are worked out, unless the cut is where a coarse block begins."""
        width = math.prod(shape[1:])
        if width % self.block or width % 2:
            return None
        count = width // self.block
        largest, told = parts[LARGEST], {LEVELS: parts[LEVELS]}
        bytes_ = parts[_BYTES].reshape(shape[0], -1)[which].flatten()
        if self.coarse and isinstance(which, slice) and (which.start or 0) * count % self.coarse == 0:
            coarse = parts[COARSE][(which.start or 0) * count // self.coarse :]
            told |= {COARSE_LEVELS: parts[COARSE_LEVELS], COARSE: coarse}
        else:
            largest = self._largest(parts)
        return {_BYTES: bytes_, LARGEST: largest.reshape(shape[0], -1)[which].flatten(), **told}

    def _largest(self, parts: Parts) -> Tensor:
        largest = parts[LARGEST].flatten()
        if COARSE not in parts:
            return largest.float()
        return _blocks(parts[COARSE_LEVELS].float()[largest.int()], parts[COARSE], self.coarse) + self.offset


@dataclasses.dataclass(frozen=True)
class Eights:
    """A `packed.Packing`: whole numbers, 127 is the largest of their row."""

    def numbers(self, parts: Parts, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return (parts[_BYTES].float() * parts[ROWS].float().reshape(-1, 1) / 127).to(dtype)

    def rows(self, parts: Parts, shape: tuple[int, ...], which: Rows) -> Parts | None:
        return {_BYTES: parts[_BYTES][which], ROWS: parts[ROWS].flatten()[which]}


def _blocks(values: Tensor, scales: Tensor, size: int) -> Tensor:
    """values (n,) times one scale for every `size` of them, the last block may be shorter."""
    return values * scales.float().flatten().repeat_interleave(size)[: len(values)]


def plain(header: Header) -> Header:
    """The header with such matrices under their own shapes; itself for any other file. Raises DamagedFile."""
    told = {name: ending for name in header.tensors if (ending := _state(name))}
    rows = [name.removesuffix(ROWS) for name in header.tensors if name.endswith(ROWS)]
    if not told and not rows:
        return header
    infos = dict(header.tensors)
    for name, facts in _facts(header, told).items():
        matrix = name.removesuffix(told[name])
        for beside in (name, *(matrix + each for each in _BESIDE)):
            infos.pop(beside, None)
        infos[matrix] = TensorInfo(_DTYPES.get(str(facts.get("dtype")), "F16"), _shape(facts))
    for layer in rows:
        infos = {name: info for name, info in infos.items() if name not in (layer + ROWS, layer + _FORMAT)}
        infos[f"{layer}.weight"] = TensorInfo("F16", header.shape(f"{layer}.weight"))
    return dataclasses.replace(header, tensors=infos)


def packed(weights: Mapping[str, Tensor], file: str) -> dict[str, Tensor]:
    """All tensors, those in 4 and 8 bits packed. file: its name. Raises DamagedFile where parts are missing or do not
    fit.
    """
    result = dict(weights)
    for name in weights:
        try:
            if ending := _state(name):
                _pack_fours(result, name.removesuffix(ending), json.loads(bytes(result.pop(name).tolist())))
            elif name.endswith(ROWS):
                _pack_eights(result, name.removesuffix(ROWS))
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
            raise DamagedFile(f"{file}: its numbers in 4 or 8 bits cannot be read ({name}: {error}).") from error
    return result


def _pack_fours(result: dict[str, Tensor], matrix: str, facts: Mapping[str, Any]) -> None:
    import torch

    from modules.loading.packed import checked

    parts = {each: result.pop(matrix + each) for each in _BESIDE if matrix + each in result}
    packing = Fours(int(facts["blocksize"]))
    if COARSE in parts:
        packing = Fours(packing.block, int(facts["nested_blocksize"]), float(facts["nested_offset"]))
    dtype = getattr(torch, str(facts.get("dtype")), torch.float16)
    result[matrix] = checked({_BYTES: result[matrix], **parts}, packing, _shape(facts), dtype)


def _pack_eights(result: dict[str, Tensor], layer: str) -> None:
    import torch

    from modules.loading.packed import checked

    stored = result[f"{layer}.weight"]
    parts = {_BYTES: stored, ROWS: result.pop(layer + ROWS)}
    result.pop(layer + _FORMAT, None)
    result[f"{layer}.weight"] = checked(parts, Eights(), tuple(stored.shape), torch.float16)


def _state(name: str) -> str:
    return next((each for each in STATE if name.endswith(each)), "")


def _shape(facts: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(side) for side in facts["shape"])


def _facts(header: Header, names: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """What a file tells of its matrices in 4 bits: small tensors that have to be read for it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(header.path, framework="numpy") as file:
            found = {name: json.loads(file.get_tensor(name).tobytes()) for name in names}
        for facts in found.values():
            _shape(facts)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{header.path.name}: what it tells of its numbers cannot be read ({error}).") from error
    return found
