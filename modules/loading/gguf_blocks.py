"""Numbers of GGUF files: blocks of 32 or 256 small integers with scales (ggml's types), and how they are unpacked.

Each function takes the blocks of a tensor as bytes (blocks, size) and gives their numbers (blocks, 32 or 256), float32.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from modules.loading.packed import Parts, Rows

Unpack = Callable[[Tensor], Tensor]

AT_ONCE = 1 << 16
"""Blocks unpacked at a time, so that the float32 in between stays small."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A type of number: its name, numbers and bytes of a block, how it is unpacked (None: it is a type of torch's)."""

    name: str
    numbers: int
    size: int
    unpack: Unpack | None = None
    dtype: torch.dtype | None = None


@dataclasses.dataclass(frozen=True)
class Blocks:
    """A `packed.Packing`: one part, "bytes", all blocks of a tensor as bytes, row after row."""

    kind: Kind

    def numbers(self, parts: Parts, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        assert self.kind.unpack is not None
        blocks = parts["bytes"].reshape(-1, self.kind.size)
        result = torch.empty(len(blocks), self.kind.numbers, dtype=dtype, device=blocks.device)
        for into, some in zip(torch.split(result, AT_ONCE), torch.split(blocks, AT_ONCE), strict=True):
            into.copy_(self.kind.unpack(some))
        return result.reshape(shape)

    def rows(self, parts: Parts, shape: tuple[int, ...], which: Rows) -> Parts | None:
        if math.prod(shape[1:]) % self.kind.numbers:
            return None  # a block goes over the end of a row
        return {"bytes": parts["bytes"].reshape(shape[0], -1)[which].flatten()}


def _half(blocks: Tensor, at: int) -> Tensor:
    """The float16 at a byte of each block: (blocks, 1), float32."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float()


def _nibbles(data: Tensor) -> Tensor:
    """(blocks, n) -> (blocks, 2 n): all low halves, then all high ones."""
    return torch.cat([data & 15, data >> 4], dim=1)


def _bits(data: Tensor) -> Tensor:
    """(blocks, n) -> (blocks, 8 n): the bits of each byte, lowest first."""
    return (data.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8, device=data.device) & 1).flatten(1)


def q4_0(blocks: Tensor) -> Tensor:
    return _half(blocks, 0) * (_nibbles(blocks[:, 2:]).float() - 8)


def q4_1(blocks: Tensor) -> Tensor:
    return _half(blocks, 0) * _nibbles(blocks[:, 4:]).float() + _half(blocks, 2)


def q5_0(blocks: Tensor) -> Tensor:
    numbers = _nibbles(blocks[:, 6:]) | _bits(blocks[:, 2:6]) << 4
    return _half(blocks, 0) * (numbers.float() - 16)


def q5_1(blocks: Tensor) -> Tensor:
    numbers = _nibbles(blocks[:, 8:]) | _bits(blocks[:, 4:8]) << 4
    return _half(blocks, 0) * numbers.float() + _half(blocks, 2)


def q8_0(blocks: Tensor) -> Tensor:
    return _half(blocks, 0) * blocks[:, 2:].contiguous().view(torch.int8).float()


def q2_k(blocks: Tensor) -> Tensor:
    """16 parts of 16 numbers, each with a scale and a lowest value of 4 bits."""
    scales, data = blocks[:, :16], blocks[:, 16:80]
    factor = _half(blocks, 80) * (scales & 15).float()
    least = _half(blocks, 82) * (scales >> 4).float()
    return _parts(_pairs(data), factor, least)


def q3_k(blocks: Tensor) -> Tensor:
    """16 parts of 16 numbers, whose third bits lie apart; scales of 6 bits."""
    masks, data, packed = blocks[:, :32], blocks[:, 32:96], blocks[:, 96:108]
    low = torch.cat([packed[:, :8] & 15, packed[:, :8] >> 4], dim=1)
    high = torch.cat([packed[:, 8:] >> shift & 3 for shift in (0, 2, 4, 6)], dim=1)
    factor = _half(blocks, 108) * ((low | high << 4).float() - 32)
    third = torch.cat([masks >> bit & 1 for bit in range(8)], dim=1)
    return _parts(_pairs(data).float() - 4 * (1 - third.float()), factor, torch.zeros_like(factor))


def q4_k(blocks: Tensor) -> Tensor:
    """8 parts of 32 numbers; scales and lowest values of 6 bits."""
    factor, least = _six_bits(blocks)
    return _parts(_rows_of_nibbles(blocks[:, 16:144]), factor, least)


def q5_k(blocks: Tensor) -> Tensor:
    """As `q4_k`, with fifth bits that lie apart."""
    factor, least = _six_bits(blocks)
    fifth = torch.cat([blocks[:, 16:48] >> bit & 1 for bit in range(8)], dim=1)
    return _parts(_rows_of_nibbles(blocks[:, 48:176]) | fifth << 4, factor, least)


def q6_k(blocks: Tensor) -> Tensor:
    """16 parts of 16 numbers of 6 bits; scales are whole bytes with a sign."""
    scales = blocks[:, 192:208].contiguous().view(torch.int8).float()
    halves = []
    for half in range(2):
        low, high = blocks[:, 64 * half : 64 * half + 64], blocks[:, 128 + 32 * half : 160 + 32 * half]
        upper = torch.cat([high >> shift & 3 for shift in (0, 2, 4, 6)], dim=1)
        halves.append(torch.cat([low & 15, low >> 4], dim=1) | upper << 4)
    factor = _half(blocks, 208) * scales
    return _parts(torch.cat(halves, dim=1).float() - 32, factor, torch.zeros_like(factor))


def _parts(numbers: Tensor, factor: Tensor, least: Tensor) -> Tensor:
    """numbers (blocks, 256) times the factor of their part less its least value; factor, least (blocks, parts)."""
    cut = numbers.float().reshape(len(numbers), factor.shape[1], -1)
    return (cut * factor.unsqueeze(-1) - least.unsqueeze(-1)).flatten(1)


def _pairs(data: Tensor) -> Tensor:
    """(blocks, 64) -> (blocks, 256): of each 32 bytes the lowest two bits, then the next two …"""
    return torch.cat([half >> shift & 3 for half in torch.split(data, 32, dim=1) for shift in (0, 2, 4, 6)], dim=1)


def _rows_of_nibbles(data: Tensor) -> Tensor:
    """(blocks, 128) -> (blocks, 256): of each 32 bytes the low halves, then the high ones."""
    return torch.cat([_nibbles(row) for row in torch.split(data, 32, dim=1)], dim=1)


def _six_bits(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """(factor, least value) of each of 8 parts, from 12 bytes that hold 16 numbers of 6 bits."""
    packed = blocks[:, 4:16]
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = torch.cat([first & 63, third & 15 | first >> 6 << 4], dim=1)
    least = torch.cat([second & 63, third >> 4 | second >> 6 << 4], dim=1)
    return _half(blocks, 0) * scales.float(), _half(blocks, 2) * least.float()


KINDS: Mapping[int, Kind] = {
    0: Kind("F32", 1, 4, dtype=torch.float32),
    1: Kind("F16", 1, 2, dtype=torch.float16),
    2: Kind("Q4_0", 32, 18, q4_0),
    3: Kind("Q4_1", 32, 20, q4_1),
    6: Kind("Q5_0", 32, 22, q5_0),
    7: Kind("Q5_1", 32, 24, q5_1),
    8: Kind("Q8_0", 32, 34, q8_0),
    10: Kind("Q2_K", 256, 84, q2_k),
    11: Kind("Q3_K", 256, 110, q3_k),
    12: Kind("Q4_K", 256, 144, q4_k),
    13: Kind("Q5_K", 256, 176, q5_k),
    14: Kind("Q6_K", 256, 210, q6_k),
    30: Kind("BF16", 1, 2, dtype=torch.bfloat16),
}
"""By the number that files give a type."""
