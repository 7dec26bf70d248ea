"""torchao's matrices of 4-bit integers, of microscaled numbers (OCP MX) and of NVFP4, multiplied out. For `torchao`.

Two 4-bit numbers share a byte, the earlier one in its lower half. Integers are -8..7, times a scale and plus an offset
for each group along a row, which lie there as (groups, rows); as Intel's cards have them they are 0..15 less a zero
point. Tensor cores want them in tiles (`_in_tiles`). The others have a scale for each 32 (MX: a power of two) or 16
(NVFP4) numbers along a row, as (rows, groups) or in the order of NVIDIA's block-scaling layout, 128 rows by 4 groups at
a time; NVFP4 perhaps one more for all. Numbers of 6 bits have a byte each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

INTEGERS, MICROSCALED, NVIDIAS = "Int4Tensor", "MXTensor", "NVFP4Tensor"
TILES, INTELS = "Int4TilePackedTo4dTensor", "Int4PlainInt32Tensor"
KINDS = (INTEGERS, TILES, INTELS, MICROSCALED, NVIDIAS)
ACROSS = (INTEGERS, INTELS)
"""Their scales lie as (groups, rows)."""
PACKED = "float4_e2m1fn_x2"
FLOATS = {PACKED: (4, 1, 1), "fp6_e2m3": (6, 3, 1), "fp6_e3m2": (6, 2, 3)}
"""Bits of a number, the first is its sign; bits of its fraction; bias of its exponent. None is infinite."""
FORMATS = ("float8_e4m3fn", "float8_e5m2", *FLOATS)
"""Numbers of a microscaled matrix that are read."""


def obstacle(kind: str, facts: Mapping[str, Any]) -> str:
    """The format of a matrix that is of one of `KINDS` but cannot be read, "" where it can."""
    known = kind != MICROSCALED or _format(facts) in FORMATS
    return "" if known else f"{kind} of {_format(facts) or 'unknown numbers'}"


def shape(kind: str, facts: Mapping[str, Any], stored: tuple[int, ...]) -> tuple[int, ...]:
    """The matrix's own, of its stored numbers'."""
    told = facts.get("shape")
    if kind == TILES and isinstance(told, list):
        return tuple(int(side) for side in told)
    packed = kind != MICROSCALED or _format(facts) == PACKED
    each = 8 if kind == INTELS else 2 if packed else 1
    return (*stored[:-1], each * stored[-1]) if stored else stored


def product(kind: str, facts: Mapping[str, Any], parts: Mapping[str, Tensor]) -> Tensor:
    """parts: "qdata", "scale" and what else there is -> the matrix, float32.

    Raises KeyError, TypeError, ValueError, ZeroDivisionError or RuntimeError where they do not fit.
    """
    numbers = parts["qdata"]
    if kind == TILES:
        rows, columns = facts["shape"]
        return _in_tiles(numbers, parts["scale_and_zero"].float())[:rows, :columns]
    scale = parts["scale"]
    if numbers.dim() != 2:
        raise ValueError(f"{numbers.dim()} dimensions")
    if kind == INTEGERS:
        values = _halves(numbers)
        values = (values - 16 * (values > 7)).float()
        return _grouped(values, scale.float().t(), parts["zero_point"].float().t())
    if kind == INTELS:
        if (zero := parts["zero_point"]).is_floating_point():
            raise ValueError("as Ascend's NPUs store them, not read here: take the file in bfloat16 or as GGUF")
        per_group, less = scale.float().t(), zero.float().t()
        return _grouped(_halves(numbers).float(), per_group, -less * per_group)
    values = _wide(numbers, _format(facts) if kind == MICROSCALED else PACKED)
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


def _wide(numbers: Tensor, format: str) -> Tensor:
    """What stored numbers of a format mean, before their scales, float32."""
    import torch

    if format not in FLOATS:
        return numbers.float()
    bits, fraction, bias = FLOATS[format]
    code = torch.arange(1 << bits - 1, device=numbers.device)
    exponent, part = code >> fraction, (code & (1 << fraction) - 1) / (1 << fraction)
    levels = torch.where(exponent == 0, part * 2.0 ** (1 - bias), (1 + part) * torch.exp2(exponent.float() - bias))
    places = _halves(numbers) if format == PACKED else numbers.view(torch.uint8)
    return torch.cat([levels, -levels])[places.int() & (1 << bits) - 1]


def _in_tiles(words: Tensor, scale_and_offset: Tensor) -> Tensor:
    """words (rows / 8, columns / 128, 32, 4) of eight numbers, as NVIDIA's tensor cores take them, scale_and_offset
    (groups, rows, 2) -> (rows, columns).

    The 32 are 8 rows by 4 pairs of columns; a word has the even columns of four pairs, 8 columns apart, then their odd
    ones (PyTorch's aten/src/ATen/native/cuda/int4mm.cu). AMD's order, in the same shape, is another.
    """
    import torch

    down, across, _, inner = words.shape
    bytes_ = words.contiguous().view(torch.uint8)
    eight = torch.stack((bytes_ & 15, bytes_ >> 4), dim=-1).reshape(down, across, 8, 4, inner, 2, 4)
    values = eight.permute(0, 2, 1, 4, 6, 3, 5).reshape(down * 8, across * inner * 32).float() - 8
    scale, offset = scale_and_offset.transpose(0, 1).unbind(-1)
    return _grouped(values, scale, offset)


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
