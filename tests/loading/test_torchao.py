"""Matrices that torchao stored in 8 bits, in files laid out as its own writer lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from modules.core.errors import DamagedFile
from modules.loading import opening
from tests.loading.torchao_files import NAME, packed, tiled, written


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


def test_integers_in_four_bits(tmp_path: Path) -> None:
    numbers = torch.arange(-8, 8).repeat(4).reshape(4, 16)
    scale, offset = torch.rand(2, 4).bfloat16(), torch.rand(2, 4).bfloat16()
    parts = {"qdata": packed(numbers).view(torch.int8), "scale": scale, "zero_point": offset}
    path = written(tmp_path / "int4.safetensors", "Int4Tensor", parts, [1, 8], shape=[4, 16])
    wide, plus = (each.float().t().repeat_interleave(8, 1) for each in (scale, offset))
    assert opening.header(path).shape(NAME) == (4, 16)
    assert torch.equal(opening.tensors(path)[NAME], (numbers * wide + plus).bfloat16())


FOUR_BITS = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def in_blocks(scale: Tensor) -> Tensor:
    """NVIDIA's order: 128 rows by 4 groups at a time, rows 32 apart beside each other."""
    rows, groups = scale.shape
    across = -(-groups // 4)
    flat = torch.zeros(-(-rows // 128) * across * 512).to(scale.dtype)
    row, group = torch.meshgrid(torch.arange(rows), torch.arange(groups), indexing="ij")
    block = row // 128 * across + group // 4
    flat[block * 512 + row % 32 * 16 + row % 128 // 32 * 4 + group % 4] = scale
    return flat.reshape(-1, 32)


@pytest.mark.parametrize("swizzled", [False, True])
@pytest.mark.parametrize("whole", [None, 0.25])
def test_nvidias_four_bits(whole: float | None, swizzled: bool, tmp_path: Path) -> None:
    codes = torch.randint(0, 16, (130, 80))
    scale = torch.randint(1, 9, (130, 5)).float().to(torch.float8_e4m3fn)
    parts = {"qdata": packed(codes), "scale": in_blocks(scale) if swizzled else scale}
    parts |= {} if whole is None else {"per_tensor_scale": torch.tensor(whole)}
    path = written(tmp_path / "nv.safetensors", "NVFP4Tensor", parts, block_size=16, is_swizzled_scales=swizzled)
    values = FOUR_BITS[codes % 8] * torch.where(codes > 7, -1, 1)
    expected = values * scale.float().repeat_interleave(16, 1) * (whole or 1)
    assert opening.header(path).shape(NAME) == (130, 80)
    assert torch.equal(opening.tensors(path)[NAME], expected.bfloat16())


@pytest.mark.parametrize("format", ["float8_e4m3fn", "float8_e5m2", "float4_e2m1fn_x2"])
def test_microscaled_numbers(format: str, tmp_path: Path) -> None:
    four = format.startswith("float4")
    codes = torch.arange(128).reshape(2, 64) % 8
    numbers = packed(codes) if four else codes.float().to(getattr(torch, format))
    powers = torch.tensor([[1, -2], [0, 3]])
    scale = (powers + 127).to(torch.uint8).view(torch.float8_e8m0fnu)
    told = {"elem_dtype": {"_type": "torch.dtype", "_data": format}, "block_size": 32}
    path = written(tmp_path / "mx.safetensors", "MXTensor", {"qdata": numbers, "scale": scale}, **told)
    values = FOUR_BITS[codes] if four else codes.float()
    expected = values * 2.0 ** powers.repeat_interleave(32, 1)
    assert opening.header(path).shape(NAME) == (2, 64)
    assert torch.equal(opening.tensors(path)[NAME], expected.bfloat16())


def test_integers_in_tiles(tmp_path: Path) -> None:
    codes = torch.randint(0, 16, (16, 256))
    scale, offset = torch.rand(16, 8).bfloat16(), torch.rand(16, 8).bfloat16()
    parts = {"qdata": tiled(codes), "scale_and_zero": torch.stack([scale, offset], -1).transpose(0, 1).contiguous()}
    path = written(tmp_path / "tiles.safetensors", "Int4TilePackedTo4dTensor", parts, [1, 32], shape=[14, 250])
    wide, plus = (each.float().repeat_interleave(32, 1) for each in (scale, offset))
    assert opening.header(path).shape(NAME) == (14, 250)
    assert torch.equal(opening.tensors(path)[NAME], ((codes - 8) * wide + plus)[:14, :250].bfloat16())


def test_integers_as_intels_cards_have_them(tmp_path: Path) -> None:
    codes = torch.randint(0, 16, (4, 64))
    scale, zero = torch.rand(2, 4).half(), torch.randint(0, 16, (2, 4), dtype=torch.int8)
    parts = {"qdata": packed(codes).view(torch.int32), "scale": scale, "zero_point": zero}
    path = written(tmp_path / "intel.safetensors", "Int4PlainInt32Tensor", parts, [1, 32], shape=[4, 64])
    wide, less = (each.float().t().repeat_interleave(32, 1) for each in (scale, zero))
    assert opening.header(path).shape(NAME) == (4, 64)
    torch.testing.assert_close(opening.tensors(path)[NAME], ((codes - less) * wide).bfloat16(), rtol=0.01, atol=0.02)
    of_npus = {**parts, "zero_point": zero.half()}
    other = written(tmp_path / "npu.safetensors", "Int4PlainInt32Tensor", of_npus, [1, 32], shape=[4, 64])
    with pytest.raises(DamagedFile, match=r"npu\.safetensors.*NPUs.*take the file in bfloat16"):
        opening.tensors(other)


@pytest.mark.parametrize(
    ("format", "some"),
    [
        ("fp6_e2m3", {0: 0.0, 1: 0.125, 7: 0.875, 8: 1.0, 12: 1.5, 31: 7.5, 33: -0.125, 63: -7.5}),
        ("fp6_e3m2", {0: 0.0, 1: 0.0625, 3: 0.1875, 4: 0.25, 12: 1.0, 31: 28.0, 33: -0.0625, 63: -28.0}),
    ],
)
def test_six_bits(format: str, some: dict[int, float], tmp_path: Path) -> None:
    """Values of the OCP specification (largest, least, least normal of each)."""
    codes = torch.zeros(1, 32, dtype=torch.uint8)
    codes[0, : len(some)] = torch.tensor(list(some))
    scale = torch.tensor([[128]], dtype=torch.uint8).view(torch.float8_e8m0fnu)
    parts = {"qdata": codes, "scale": scale}
    path = written(tmp_path / "six.safetensors", "MXTensor", parts, elem_dtype=format, block_size=32)
    assert opening.tensors(path)[NAME][0, : len(some)].tolist() == [2 * each for each in some.values()]


@pytest.mark.parametrize(("kind", "format"), [("Int3Tensor", ""), ("MXTensor", "fp5_e2m2")])
def test_other_kinds_are_refused_by_name_with_a_way_out(kind: str, format: str, tmp_path: Path) -> None:
    parts = {"qdata": torch.zeros(2, 2, dtype=torch.int8), "scale": torch.ones(2)}
    path = written(tmp_path / "packed.safetensors", kind, parts, elem_dtype=format)
    name = f"{kind} of {format}" if format else kind
    for read in (opening.header, opening.tensors):
        with pytest.raises(DamagedFile, match=rf"packed.safetensors.*torchao's {name}, which.*bfloat16"):
            read(path)


@pytest.mark.parametrize("told", [{}, {"block_size": 0}, {"block_size": 64}, {"block_size": [1, 16]}])
def test_small_numbers_that_do_not_fit_are_told(told: dict[str, Any], tmp_path: Path) -> None:
    parts = {"qdata": torch.zeros(2, 16, dtype=torch.uint8), "scale": torch.ones(2, 2)}
    path = written(tmp_path / "odd.safetensors", "NVFP4Tensor", parts, **told)
    with pytest.raises(DamagedFile, match=r"odd\.safetensors: the numbers of .* cannot be read"):
        opening.tensors(path)


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
