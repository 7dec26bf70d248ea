"""Writes a .safetensors file tensor by tensor: its header first, then each tensor's bytes as they come.

The file appears whole or not at all, and no more than one tensor is in memory. No torch. Called by `convert` and
`merging`.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from modules.core.store import StoreError, explain_disk, sync_folder
from modules.loading.header import SIZES, TensorInfo

Data: TypeAlias = "bytes | bytearray | memoryview"


def write(
    path: Path, infos: Mapping[str, TensorInfo], parts: Iterable[Data], metadata: Mapping[str, str] | None = None
) -> None:
    """Replace `path` by a file with these tensors; parts: their bytes, in the order of `infos`.

    Raises StoreError naming the file and the way out, ValueError where bytes do not fit the type and shape; what
    `parts` raises goes through. In each case nothing is left behind.
    """
    temporary = path.with_name(f".easel-{secrets.token_hex(6)}.tmp")
    try:
        try:
            _fill(temporary, infos, parts, metadata or {})
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(explain_disk(error, f"{path} could not be written")) from error


def _fill(path: Path, infos: Mapping[str, TensorInfo], parts: Iterable[Data], metadata: Mapping[str, str]) -> None:
    """Write a new file, down to the disk."""
    with path.open("xb") as file:
        file.write(_head(infos, metadata))
        for (name, info), data in zip(infos.items(), parts, strict=True):
            if len(data) != extent(info):
                raise ValueError(f"{name} has {len(data)} bytes instead of {extent(info)}")
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def extent(info: TensorInfo) -> int:
    """Bytes of a tensor."""
    return math.prod(info.shape) * SIZES[info.dtype]


def _head(infos: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, info in infos.items():
        begin, end = end, end + extent(info)
        entries[name] = {"dtype": info.dtype, "shape": list(info.shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data begin at a multiple of 8, as the format's own writer has it
    return struct.pack("<Q", len(text)) + text
