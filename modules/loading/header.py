"""The header of a `.safetensors` file: names, types and shapes of its tensors, without reading any of them.

Layout: 8 bytes little-endian length, that many bytes of JSON, then the data. Everything a damaged download can look
like is refused with the file's name and the reason, so that a scan of a folder never fails and never loads garbage.
"""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modules.core.errors import DamagedFile

MAX_HEADER = 10 * 10**6
"""Bytes. The format allows 100 MB; the largest models have half a megabyte, a LoRA with all its tags a few."""

SIZES = {
    "F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """dtype as safetensors writes it ("F16"), shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file says it holds."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor; DamagedFile when it is not there."""
        found = self.tensors.get(name)
        if found is None:
            raise DamagedFile(f"{self.path.name}: the tensor {name} is missing.")
        return found.shape

    def starts_with(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.tensors)


def read(path: Path) -> Header:
    """Read and check a header. Raises DamagedFile (reason in words) and FileNotFoundError."""
    size = path.stat().st_size
    if size == 0:
        raise DamagedFile(f"{path.name}: the file is empty. Download it again.")
    if size < 8:
        raise DamagedFile(f"{path.name}: {size} bytes are too few for a .safetensors file. Download it again.")
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length < 2 or size < length >= MAX_HEADER:
            raise DamagedFile(f"{path.name}: not a .safetensors file (its header would have {length} bytes).")
        if length >= MAX_HEADER:
            reason = f"a header of {length} bytes; less than {MAX_HEADER // 10**6} MB are read. Save less metadata."
            raise DamagedFile(f"{path.name}: {reason}")
        text = file.read(length)
    if len(text) < length:
        raise DamagedFile(f"{path.name}: ends inside its header ({size} bytes). The download was cut short.")
    return _checked(path, _parse(path, text), data_size=size - 8 - length)


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DamagedFile(f"{path.name}: the header names {twice} twice.")
        return result

    try:
        parsed = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path.name}: not a .safetensors file (its header is not JSON: {error}).") from error
    if not isinstance(parsed, dict):
        raise DamagedFile(f"{path.name}: not a .safetensors file (its header is not an object).")
    return parsed


def _checked(path: Path, parsed: dict[str, Any], *, data_size: int) -> Header:
    metadata = parsed.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise DamagedFile(f"{path.name}: the header's __metadata__ is no table.")
    tensors, spans = {}, []
    for name, entry in parsed.items():
        try:
            dtype, shape, (begin, end) = str(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFile(f"{path.name}: the header's entry for {name} is malformed.") from error
        if not all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end)):
            raise DamagedFile(f"{path.name}: the header's entry for {name} is malformed.")
        expected = math.prod(shape) * SIZES[dtype] if dtype in SIZES else end - begin
        if end < begin or end - begin != expected:
            raise DamagedFile(f"{path.name}: the header's entry for {name} does not fit its shape.")
        tensors[name] = TensorInfo(dtype, shape)
        spans.append((begin, end, name))
    _laid_out(path, sorted(spans), data_size)
    return Header(path, tensors, {str(key): str(value) for key, value in metadata.items()})


def _laid_out(path: Path, spans: list[tuple[int, int, str]], data_size: int) -> None:
    """Tensors follow one another without gap or overlap, to the end of the file."""
    furthest = max((end for _, end, _ in spans), default=0)
    if furthest > data_size:
        missing = furthest - data_size
        raise DamagedFile(f"{path.name}: {missing} bytes are missing at the end. The download was cut short.")
    at = 0
    for begin, end, name in spans:
        if begin != at:
            wrong = "overlaps the one before" if begin < at else "does not follow the one before"
            raise DamagedFile(f"{path.name}: the place of the tensor {name} {wrong}.")
        at = end
    if at < data_size:
        raise DamagedFile(f"{path.name}: there are {data_size - at} bytes that no tensor claims.")
