"""GGUF files (version 2 and 3): a transformer or its text encoder with small numbers, as other programs pass them on.

Names and shapes are read from the header; the tensors are views of the mapped file, small numbers packed as they are
there (`packed`). Encoders, T5 and Qwen, have names of their own there, which are put back.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import DamagedFile
from modules.loading.header import Header, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

ENDING = ".gguf"
_MAGIC = b"GGUF"
_MOST = 1_000_000
"""Entries of a table and bytes of a name that are believed."""
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _LIST = 8, 9
_SHAPE = "comfy.gguf.orig_shape."
_TITLES = {0: "F32", 1: "F16", 30: "BF16"}
"""Types that are the same in .safetensors files."""

_T5 = {
    "attn_q": "0.SelfAttention.q",
    "attn_k": "0.SelfAttention.k",
    "attn_v": "0.SelfAttention.v",
    "attn_o": "0.SelfAttention.o",
    "attn_norm": "0.layer_norm",
    "attn_rel_b": "0.SelfAttention.relative_attention_bias",
    "ffn_gate": "1.DenseReluDense.wi_0",
    "ffn_up": "1.DenseReluDense.wi_1",
    "ffn_down": "1.DenseReluDense.wo",
    "ffn_norm": "1.layer_norm",
}
_BLOCK = re.compile(r"(?:enc\.)?blk\.(\d+)\.(\w+)\.(weight|bias)")

_QWEN = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_QWENS = ("qwen2", "qwen2vl", "qwen3")
"""What the remark "general.architecture" says of them."""


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A tensor: its shape as torch has it, the number of its type, where its bytes begin in the file."""

    shape: tuple[int, ...]
    type: int
    start: int


def header(path: Path) -> Header:
    """Names, types and shapes; no weights are read. Raises DamagedFile and OSError."""
    entries, metadata = _read(path)
    infos = {name: TensorInfo(_TITLES.get(entry.type, "F16"), entry.shape) for name, entry in entries.items()}
    return Header(path, infos, {key: str(value) for key, value in metadata.items() if isinstance(value, str)})


def tensors(path: Path) -> dict[str, Tensor]:
    """All tensors by name, views of the mapped file: plain ones where their type is one of torch's, else packed ones
    that come out as float16 unless something else is asked for.

    Raises DamagedFile, for a type that is not known too.
    """
    import torch

    from modules.loading.gguf_blocks import KINDS, Blocks
    from modules.loading.packed import Packed

    entries, _ = _read(path)
    unknown = {entry.type for entry in entries.values()} - set(KINDS)
    if unknown:
        known = ", ".join(kind.name for kind in KINDS.values())
        raise DamagedFile(f"{path.name}: numbers of the GGUF type {min(unknown)} are not read. Take a file in {known}.")
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    result: dict[str, Tensor] = {}
    nothing = torch.empty(0, dtype=torch.uint8)
    for name, entry in entries.items():
        kind = KINDS[entry.type]
        count = math.prod(entry.shape) // kind.numbers * kind.size
        if math.prod(entry.shape) % kind.numbers:
            raise DamagedFile(f"{path.name}: {name} {entry.shape} is no whole number of blocks of {kind.name}.")
        if entry.start + count > len(mapped):
            raise DamagedFile(f"{path.name}: ends inside the tensor {name}. The download was cut short.")
        data = torch.frombuffer(mapped, dtype=torch.uint8, count=count, offset=entry.start) if count else nothing
        if kind.dtype is None:
            result[name] = Packed({"bytes": data}, Blocks(kind), entry.shape, torch.float16)
        else:
            result[name] = data.view(kind.dtype).reshape(entry.shape)
    return result


class _Reader:
    """Numbers and strings from the beginning of a file, in order. Raises DamagedFile."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise self.damaged("ends inside its header. The download was cut short.")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def count(self) -> int:
        found = int(self.number("Q"))
        if found > _MOST:
            raise self.damaged(f"its header speaks of {found} entries.")
        return found

    def string(self) -> str:
        return self.take(self.count()).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _LIST and depth < 4:
            inner, count = self.number("I"), self.count()
            return [self.value(inner, depth + 1) for _ in range(count)]
        if kind not in _NUMBERS:
            raise self.damaged(f"its header has a value of the unknown type {kind}.")
        return self.number(_NUMBERS[kind])

    def damaged(self, reason: str) -> DamagedFile:
        return DamagedFile(f"{self._path.name}: {reason}")


def _read(path: Path) -> tuple[dict[str, _Entry], Mapping[str, Any]]:
    """(tensors by name, the file's remarks)."""
    if path.stat().st_size < 24:
        raise DamagedFile(f"{path.name}: {path.stat().st_size} bytes are too few for a .gguf file. Download it again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(path, data)
        if reader.take(4) != _MAGIC:
            raise reader.damaged("not a .gguf file.")
        version = reader.number("I")
        if version not in (2, 3):
            raise reader.damaged(f"GGUF version {version} is not read, only 2 and 3.")
        tensors, values = reader.count(), reader.count()
        metadata = {}
        for _ in range(values):
            key, kind = reader.string(), reader.number("I")
            metadata[key] = reader.value(kind)
        found = [_entry(reader) for _ in range(tensors)]
        edge = int(metadata.get("general.alignment") or 32)
        begin = -(-reader.at // edge) * edge
    shapes = {key.removeprefix(_SHAPE): tuple(value) for key, value in metadata.items() if key.startswith(_SHAPE)}
    entries = {name: _Entry(shapes.get(name, entry.shape), entry.type, begin + entry.start) for name, entry in found}
    if len(entries) < len(found):
        raise DamagedFile(f"{path.name}: the header names a tensor twice.")
    return _named(entries, str(metadata.get("general.architecture", ""))), metadata


def _entry(reader: _Reader) -> tuple[str, _Entry]:
    name, dimensions = reader.string(), reader.number("I")
    if dimensions > 8:
        raise reader.damaged(f"the tensor {name} would have {dimensions} dimensions.")
    shape = tuple(int(reader.number("Q")) for _ in range(dimensions))[::-1]
    return name, _Entry(shape, int(reader.number("I")), int(reader.number("Q")))


def _named(entries: dict[str, _Entry], architecture: str) -> dict[str, _Entry]:
    """The tensors of a T5 encoder or a Qwen under their own names; others as they are."""
    if "enc.blk.0.attn_q.weight" in entries:
        layers, block = _T5, "encoder.block.{}.layer.{}.{}"
        ends = {"token_embd.weight": "shared.weight", "enc.output_norm.weight": "encoder.final_layer_norm.weight"}
    elif architecture in _QWENS:
        layers, block = _QWEN, "layers.{}.{}.{}"
        ends = {
            "token_embd.weight": "embed_tokens.weight",
            "output_norm.weight": "norm.weight",
            "output.weight": "lm_head.weight",
        }
    else:
        return entries

    def own(name: str) -> str:
        match = _BLOCK.fullmatch(name)
        if match is None:
            return ends.get(name, name)
        return block.format(match[1], layers.get(match[2], match[2]), match[3])

    return {own(name): entry for name, entry in entries.items()}
