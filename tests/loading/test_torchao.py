"""Matrices that torchao stored in 8 bits, in files laid out as its own writer lays them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from modules.core.errors import DamagedFile
from modules.loading import opening

NAME = "double_blocks.0.img_attn.proj.weight"
BESIDE = "double_blocks.0.img_attn.proj._weight_"


def written(path: Path, kind: str, parts: dict[str, Tensor], blocks: list[int] | None = None) -> Path:
    """A file with one such matrix and one plain tensor."""
    facts: dict[str, Any] = {"dtype": {"_type": "torch.dtype", "_data": "bfloat16"}}
    facts |= {"block_size": blocks} if blocks else {}
    told = {
        NAME: json.dumps({"_type": kind, "_data": facts, "_tensor_data_names": list(parts)}),
        "txt_in.bias": json.dumps({"_type": "Tensor"}),
        "tensor_names": json.dumps([NAME, "txt_in.bias"]),
    }
    save_file({"txt_in.bias": torch.arange(3.0), **{BESIDE + name: part for name, part in parts.items()}}, path, told)
    return path


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_scale_for_each_row(shape: tuple[int, ...], tmp_path: Path) -> None:
    numbers = torch.randint(-128, 128, (4, 6), dtype=torch.int8)
    scale = torch.tensor([0.5, 1.0, 2.0, 4.0]).reshape(shape)
    path = written(tmp_path / "int8.safetensors", "Int8Tensor", {"qdata": numbers, "scale": scale}, [1, 6])
    header, tensors = opening.header(path), opening.tensors(path)
    assert set(header.tensors) == set(tensors) == {NAME, "txt_in.bias"}
    assert header.shape(NAME) == (4, 6)
    assert torch.equal(tensors[NAME], (numbers * scale.reshape(4, 1)).bfloat16())
    assert torch.equal(tensors["txt_in.bias"], torch.arange(3.0))


def test_blocks_with_zero_points(tmp_path: Path) -> None:
    numbers = torch.randint(-8, 8, (2, 8), dtype=torch.int8)
    scale, zero = torch.tensor([[0.5, 2.0], [1.0, 4.0]]), torch.tensor([[1, -2], [3, 0]], dtype=torch.int8)
    parts = {"qdata": numbers, "scale": scale, "zero_point": zero}
    path = written(tmp_path / "intx.safetensors", "IntxUnpackedToInt8Tensor", parts, [1, 4])
    expected = (numbers - zero.repeat_interleave(4, 1)) * scale.repeat_interleave(4, 1)
    assert torch.equal(opening.tensors(path)[NAME], expected.bfloat16())


@pytest.mark.parametrize("scale", [torch.tensor(2.0), torch.tensor([[2.0], [0.5]]), torch.tensor([[2.0, 4.0]])])
def test_float8_says_its_blocks_by_the_shape_of_its_scales(scale: Tensor, tmp_path: Path) -> None:
    numbers = torch.tensor([[1.0, -2.0, 3.0, 0.5], [8.0, 0.25, -1.0, 6.0]]).to(torch.float8_e4m3fn)
    path = written(tmp_path / "f8.safetensors", "Float8Tensor", {"qdata": numbers, "scale": scale})
    wide = scale.repeat_interleave(2, 1) if scale.shape == (1, 2) else scale
    assert torch.equal(opening.tensors(path)[NAME], (numbers.float() * wide).bfloat16())


@pytest.mark.parametrize("kind", ["Int4TilePackedTo4dTensor", "MXTensor"])
def test_other_kinds_are_refused_by_name_with_a_way_out(kind: str, tmp_path: Path) -> None:
    parts = {"qdata": torch.zeros(2, 2, dtype=torch.int8), "scale": torch.ones(2)}
    path = written(tmp_path / "packed.safetensors", kind, parts)
    for read in (opening.header, opening.tensors):
        with pytest.raises(DamagedFile, match=rf"packed.safetensors.*torchao's {kind}, which.*bfloat16"):
            read(path)


def test_numbers_that_wait_for_another_part_of_the_model_are_refused(tmp_path: Path) -> None:
    """Those of SmoothQuant, whose inputs were to be scaled too."""
    parts = {"qdata": torch.zeros(2, 2, dtype=torch.int8), "scale": torch.ones(2), "act_pre_scale": torch.ones(2)}
    with pytest.raises(DamagedFile, match="act_pre_scale"):
        opening.header(written(tmp_path / "smooth.safetensors", "Int8Tensor", parts, [1, 2]))


@pytest.mark.parametrize(
    "parts", [{"qdata": torch.zeros(4, 6, dtype=torch.int8)}, {"qdata": torch.zeros(4, 6), "scale": torch.ones(4, 5)}]
)
def test_parts_that_are_missing_or_do_not_fit_are_told(parts: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=rf"odd.safetensors: the numbers of {NAME} cannot be read"):
        opening.tensors(written(tmp_path / "odd.safetensors", "Float8Tensor", parts))
