"""Small GGUF files, written field by field, for tests of reading them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

F32, F16, Q8_0 = 0, 1, 8


def write(
    path: Path,
    tensors: Mapping[str, tuple[int, NDArray[np.float32]]],
    remarks: Mapping[str, str] | None = None,
    *,
    version: int = 3,
) -> Path:
    """tensors: (type, numbers) by name; types F32, F16 and Q8_0."""
    remarks = {"general.architecture": "flux"} if remarks is None else remarks
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(remarks))
    for key, value in remarks.items():
        head += string(key) + struct.pack("<I", 8) + string(value)
    data = bytearray()
    for name, (kind, numbers) in tensors.items():
        shape = numbers.shape[::-1]
        head += string(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", size) for size in shape)
        head += struct.pack("<IQ", kind, len(data))
        raw = stored(kind, numbers)
        data += raw + bytes(-len(raw) % 32)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def stored(kind: int, numbers: NDArray[np.float32]) -> bytes:
    """The bytes of a tensor; Q8_0: each 32 numbers as whole ones of 8 bits with one scale."""
    if kind == F32:
        return numbers.astype("<f4").tobytes()
    if kind == F16:
        return numbers.astype("<f2").tobytes()
    blocks = numbers.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    whole = np.round(blocks / np.where(scale == 0, 1, scale)).astype(np.int8)
    return np.concatenate([scale.astype("<f2").view(np.int8), whole], axis=1).tobytes()


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data
