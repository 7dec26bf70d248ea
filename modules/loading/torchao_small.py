"""torchao's matrices of 4-bit integers, of microscaled numbers (OCP MX) and of NVFP4, multiplied out. For `torchao`.

Two 4-bit numbers share a byte, the earlier one in its lower half. Integers are -8..7, times a scale and plus an offset
for each group along a row, which lie there as (groups, rows). The others have a scale for each 32 (MX: a power of two)
or 16 (NVFP4) numbers along a row, as (rows, groups) or in the order of NVIDIA's block-scaling layout, 128 rows by 4
groups at a time; NVFP4 perhaps one more for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

INTEGERS, MICROSCALED, NVIDIAS = "Int4Tensor", "MXTensor", "NVFP4Tensor"
KINDS = (INTEGERS, MICROSCALED, NVIDIAS)
FORMATS = ("float8_e4m3fn", "float8_e5m2", "float4_e2m1fn_x2")
"""Numbers of a microscaled matrix that are read."""
PACKED = FORMATS[2]
POSITIVE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""What the lower three of four bits mean (E2M1); the fourth is the sign."""


def obstacle(kind: str, facts: Mapping[str, Any]) -> str:
    """The format of a matrix that is of one of `KINDS` but cannot be read, "" where it can."""
    known = kind != MICROSCALED or _format(facts) in FORMATS
    return "" if known else f"{kind} of {_format(facts) or 'unknown numbers'}"


def shape(kind: str, facts: Mapping[str, Any], stored: tuple[int, ...]) -> tuple[int, ...]:
    """The matrix's own, of its stored numbers'."""
    packed = kind != MICROSCALED or _format(facts) == PACKED
    return (*stored[:-1], 2 * stored[-1]) if packed and stored else stored


def product(kind: str, facts: Mapping[str, Any], parts: Mapping[str, Tensor]) -> Tensor:
    """parts: "qdata", "scale" and what else there is -> the matrix, float32.

    Raises KeyError, TypeError, ValueError, ZeroDivisionError or RuntimeError where they do not fit.
    """
    numbers, scale = parts["qdata"], parts["scale"]
    if numbers.dim() != 2:
        raise ValueError(f"{numbers.dim()} dimensions")
    if kind == INTEGERS:
        values = _halves(numbers)
        values = (values - 16 * (values > 7)).float()
        return _grouped(values, scale.float().t(), parts["zero_point"].float().t())
    values = numbers.float() if kind == MICROSCALED and _format(facts) != PACKED else _four_bits(numbers)
    rows, groups = len(values), values.shape[1] // int(facts["block_size"])
    factors = _in_rows(scale.float(), rows, groups) if facts.get("is_swizzled_scales") else scale.float()
    if (whole := parts.get("per_tensor_scale")) is not None:
        factors = factors * whole.float()
    return _grouped(values, factors.reshape(rows, groups))


def _format(facts: Mapping[str, Any]) -> str:
    told = facts.get("elem_dtype")
    return str(told.get("_data", "")) if isinstance(told, dict) else str(told or "")


def _halves(packed: Tensor) -> Tensor:
    """(rows, bytes) -> (rows, 2 bytes) of 0..15."""
    import torch

    data = packed.contiguous().view(torch.uint8)
    return torch.stack((data & 15, data >> 4), dim=-1).flatten(1).to(torch.int16)


def _four_bits(packed: Tensor) -> Tensor:
    import torch

    levels = torch.tensor([*POSITIVE, *(-each for each in POSITIVE)], device=packed.device)
    return levels[_halves(packed).long()]


def _grouped(values: Tensor, factors: Tensor, offsets: Tensor | None = None) -> Tensor:
    """values (rows, columns), factors and offsets (rows, groups). Raises RuntimeError where they do not fit."""
    rows, groups = factors.shape
    blocks = values.reshape(rows, groups, -1) * factors.unsqueeze(-1)
    if offsets is not None:
        blocks = blocks + offsets.reshape(rows, groups, 1)
    return blocks.reshape(values.shape)


def _in_rows(scale: Tensor, rows: int, groups: int) -> Tensor:
    """Scales in NVIDIA's order, filled up to whole blocks -> (rows, groups)."""
    down, across = -(-rows // 128), -(-groups // 4)
    blocks = scale.reshape(down, across, 32, 4, 4).transpose(2, 3).reshape(down, across, 128, 4)
    return blocks.transpose(1, 2).reshape(down * 128, across * 4)[:rows, :groups]
