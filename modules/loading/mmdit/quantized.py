"""Files of smaller numbers: plain float8 needs nothing, scaled float8 and what bitsandbytes writes are multiplied out,
others are refused.

Scaled files keep one factor a matrix beside it ("scale_weight", in newer ones "weight_scale").
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from modules.core.errors import DamagedFile
from modules.loading.mmdit import names, small_numbers
from modules.loading.parts import Source

SCALES = (".scale_weight", ".weight_scale")
UNUSED = (".scale_input", ".input_scale", ".comfy_quant")
_MARKER = "scaled_fp8"
_REFUSED = {
    "_qdata": "tensors of torchao",
    ".weight_scale_2": "NVFP4",
    ".qweight": "GPTQ or SVDQuant",
}
"""How names end in files of formats that are not read."""


def denoiser(source: Source, mark: str) -> dict[str, Tensor]:
    """The transformer's tensors, named from the mark on. Raises KeyError, and DamagedFile for formats not read."""
    weights = source.below(names.root(source.weights, mark))
    return plain(weights, source.placement.dtype, source.header.path.name)


def plain(weights: Mapping[str, Tensor], dtype: torch.dtype, file: str) -> dict[str, Tensor]:
    """Tensors that mean what they say: scaled ones multiplied out (dtype), scales gone. Raises DamagedFile."""
    for ending, title in _REFUSED.items():
        if any(name.endswith(ending) for name in weights):
            raise DamagedFile(
                f"{file}: its numbers are stored as {title}, which this version of Easel does not read. Take the file "
                "in bfloat16, float16 or float8."
            )
    try:
        weights = small_numbers.multiplied_out(weights, dtype)
    except (KeyError, ValueError, RuntimeError, IndexError) as error:
        raise DamagedFile(f"{file}: its numbers in 4 or 8 bits cannot be read ({error}).") from error
    scales = {
        name.removesuffix(ending) + ".weight": scale
        for ending in SCALES
        for name, scale in weights.items()
        if name.endswith(ending)
    }
    kept = {name: tensor for name, tensor in weights.items() if not name.endswith((*SCALES, *UNUSED))}
    kept.pop(_MARKER, None)
    return {name: _scaled(tensor, scales.get(name), dtype) for name, tensor in kept.items()}


def _scaled(tensor: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """scale () or one a row."""
    if scale is None:
        return tensor
    factor = scale.to(dtype)
    return tensor.to(dtype) * (factor.reshape(-1, *[1] * (tensor.dim() - 1)) if factor.numel() > 1 else factor)
