"""Files of smaller numbers: plain float8 needs nothing, scaled float8 is packed, formats that are not read are refused.

Scaled files keep one factor a matrix, or a row, beside it ("scale_weight", in newer ones "weight_scale").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from modules.core.errors import DamagedFile
from modules.loading.mmdit import names
from modules.loading.packed import Packed, Parts, Rows
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
    """Tensors that mean what they say: scaled ones packed (others than float8 multiplied out) for `dtype`, scales gone.

    Raises DamagedFile.
    """
    for ending, title in _REFUSED.items():
        if any(name.endswith(ending) for name in weights):
            raise DamagedFile(
                f"{file}: its numbers are stored as {title}, which this version of Easel does not read. Take the file "
                "in bfloat16, float16 or float8."
            )
    scales = {
        name.removesuffix(ending) + ".weight": scale
        for ending in SCALES
        for name, scale in weights.items()
        if name.endswith(ending)
    }
    kept = {name: tensor for name, tensor in weights.items() if not name.endswith((*SCALES, *UNUSED))}
    kept.pop(_MARKER, None)
    return {name: _scaled(tensor, scales.get(name), dtype) for name, tensor in kept.items()}


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A `packed.Packing`: small numbers times a factor, one for all or one a row."""

    def numbers(self, parts: Parts, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        factor = parts["factor"].to(dtype)
        spread = factor.reshape(-1, *[1] * (len(shape) - 1)) if factor.numel() > 1 else factor
        return parts["numbers"].to(dtype) * spread

    def rows(self, parts: Parts, shape: tuple[int, ...], which: Rows) -> Parts | None:
        factor = parts["factor"]
        return {
            "numbers": parts["numbers"][which],
            "factor": factor.flatten()[which] if factor.numel() > 1 else factor,
        }


def _scaled(tensor: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """scale () or one a row."""
    if scale is None:
        return tensor
    parts, shape = {"numbers": tensor, "factor": scale}, tuple(tensor.shape)
    return Packed(parts, Scaled(), shape, dtype) if tensor.itemsize == 1 else Scaled().numbers(parts, shape, dtype)
