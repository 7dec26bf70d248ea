"""Matrices as bitsandbytes writes them into files, for tests of reading them."""

from __future__ import annotations

import json

import torch
from torch import Tensor

TABLE = torch.cat([-torch.linspace(1, 0.1, 7), torch.linspace(0, 1, 9) ** 1.5])
"""16 levels in -1..1, as uneven as NF4's; files bring their own."""
BLOCK = 64


def packed(name: str, matrix: Tensor, *, nested: bool = False, kind: str = "nf4") -> tuple[dict[str, Tensor], Tensor]:
    """(the tensors of a file as bitsandbytes would write it, the numbers that they stand for)."""
    flat = torch.nn.functional.pad(matrix.flatten(), (0, -matrix.numel() % BLOCK)).reshape(-1, BLOCK)
    largest = flat.abs().amax(1)
    told = {"quant_type": kind, "blocksize": BLOCK, "dtype": "float16", "shape": list(matrix.shape)}
    found: dict[str, Tensor] = {".absmax": largest, ".quant_map": TABLE.clone()}
    if nested:
        fine, offset = torch.linspace(-1, 1, 256), float(largest.mean())
        around = largest - offset
        coarse = torch.stack([part.abs().max() for part in around.split(256)]).clamp(min=1e-9)
        places = ((around / coarse.repeat_interleave(256)[: len(around)])[:, None] - fine).abs().argmin(1)
        largest = fine[places] * coarse.repeat_interleave(256)[: len(around)] + offset
        found |= {".absmax": places.byte(), ".nested_absmax": coarse, ".nested_quant_map": fine.clone()}
        told |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": offset}
    places = (flat[..., None] / largest[:, None, None] - TABLE).abs().argmin(-1).flatten()[: matrix.numel()]
    meant = (TABLE[places] * largest.repeat_interleave(BLOCK)[: len(places)]).reshape(matrix.shape)
    pairs = torch.nn.functional.pad(places, (0, len(places) % 2)).reshape(-1, 2)
    found[f".quant_state.bitsandbytes__{kind}"] = torch.tensor(list(json.dumps(told).encode()), dtype=torch.uint8)
    bytes_ = (pairs[:, :1] * 16 + pairs[:, 1:]).to(torch.uint8)
    return {name: bytes_, **{name + ending: tensor for ending, tensor in found.items()}}, meant
