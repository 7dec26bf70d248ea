"""Small files in the real format, whole and broken, for tests of reading headers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any


def write(path: Path, header: dict[str, Any] | bytes, data: bytes = b"", *, length: int | None = None) -> Path:
    """A .safetensors file; header as an object or as raw bytes, `length` to lie about it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def tensors(shapes: dict[str, tuple[int, ...]]) -> tuple[dict[str, Any], bytes]:
    """Header entries and zero data for F16 tensors of these shapes."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    return header, bytes(end)
