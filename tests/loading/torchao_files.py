"""Files with a matrix as torchao's own writer lays it out, for tests of reading them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

NAME = "double_blocks.0.img_attn.proj.weight"
BESIDE = "double_blocks.0.img_attn.proj._weight_"


def written(path: Path, kind: str, parts: dict[str, Tensor], blocks: list[int] | None = None, **more: Any) -> Path:
    """A file with one such matrix and one plain tensor; more: what else is told of the matrix."""
    facts: dict[str, Any] = {"dtype": {"_type": "torch.dtype", "_data": "bfloat16"}}
    facts |= {"block_size": blocks} if blocks else {}
    facts |= more
    told = {
        NAME: json.dumps({"_type": kind, "_data": facts, "_tensor_data_names": list(parts)}),
        "txt_in.bias": json.dumps({"_type": "Tensor"}),
        "tensor_names": json.dumps([NAME, "txt_in.bias"]),
    }
    save_file({"txt_in.bias": torch.arange(3.0), **{BESIDE + name: part for name, part in parts.items()}}, path, told)
    return path


def packed(codes: Tensor) -> Tensor:
    """Two numbers of 4 bits in a byte, the earlier one below."""
    return ((codes[:, 0::2] & 15) | (codes[:, 1::2] & 15) << 4).to(torch.uint8)


def tiled(codes: Tensor) -> Tensor:
    """Numbers 0..15 as PyTorch's CUDA kernel lays them out for tensor cores, word by word: each lane of 32 takes a row
    of 8 and, of 32 columns, the pairs at 2 (lane % 4) + 0, 8, 16 and 24.
    """
    rows, columns = codes.shape
    words = torch.zeros(rows // 8, columns // 128, 32, 4, dtype=torch.int64)
    for down, across, lane, inner in itertools.product(*map(range, words.shape)):
        row, start = down * 8 + lane // 4, across * 128 + inner * 32 + 2 * (lane % 4)
        pairs = [(start + apart, start + apart + 1) for apart in (0, 8, 16, 24)]
        order = [even for even, _ in pairs] + [odd for _, odd in pairs]
        words[down, across, lane, inner] = sum(int(codes[row, at]) << 4 * place for place, at in enumerate(order))
    return words.to(torch.int32)
