"""Files as bitsandbytes writes them, multiplied out: NF4 and FP4 (Dettmers et al. 2023, https://arxiv.org/abs/2305.14314)
and rows of 8-bit whole numbers (https://arxiv.org/abs/2208.07339). The package itself is not wanted for that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

STATE = (".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
"""How the names end of what is told of a matrix in 4 bits: JSON as bytes."""
ROWS = ".SCB"
"""How the names end of the largest number of each row of a matrix in 8 bits."""
_BESIDE = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")


def multiplied_out(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """All tensors, those in 4 and 8 bits as plain matrices in `dtype`. Raises KeyError and ValueError for what is
    missing or told wrongly.
    """
    result = dict(weights)
    for name in weights:
        if ending := next((each for each in STATE if name.endswith(each)), None):
            matrix = name.removesuffix(ending)
            del result[name]
            beside = {each: result.pop(matrix + each) for each in _BESIDE if matrix + each in result}
            result[matrix] = _four_bits(weights[matrix], beside, json.loads(bytes(weights[name].tolist()))).to(dtype)
        elif name.endswith(ROWS):
            layer = name.removesuffix(ROWS)
            result.pop(f"{layer}.weight_format", None)
            largest = result.pop(name).float().reshape(-1, 1)
            result[f"{layer}.weight"] = (weights[f"{layer}.weight"].float() * largest / 127).to(dtype)
    return result


def _four_bits(packed: Tensor, beside: Mapping[str, Tensor], told: Mapping[str, Any]) -> Tensor:
    """Two numbers a byte, the first in its high half; each is a place in a table of 16, times its block's largest."""
    largest = beside[".absmax"]
    if ".nested_absmax" in beside:
        coarse = _blocks(beside[".nested_quant_map"][largest.int()], beside[".nested_absmax"], told["nested_blocksize"])
        largest = coarse + told["nested_offset"]
    bytes_ = packed.flatten().view(torch.uint8)
    places = torch.stack([bytes_ >> 4, bytes_ & 15], dim=-1).flatten().int()
    shape = torch.Size(told["shape"])
    return _blocks(beside[".quant_map"].float()[places][: shape.numel()], largest, told["blocksize"]).reshape(shape)


def _blocks(values: Tensor, scales: Tensor, size: int) -> Tensor:
    """values (n,) times one scale for every `size` of them, the last block may be shorter."""
    return values * scales.float().flatten().repeat_interleave(size)[: len(values)]
