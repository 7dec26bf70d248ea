"""Packed weights: a layer computes what it would with the numbers themselves, whatever the kind of file; its bytes are
never changed, and moved and kept as they are they take a file's size.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from modules.loading import bitsandbytes, opening, packed, storage
from modules.loading.gguf_blocks import KINDS, Blocks
from modules.loading.mmdit import quantized
from modules.loading.packed import Packed, dense
from modules.loading.residency import follow
from modules.networks.deltas import Difference, LoRA
from modules.networks.merge import Merge, Target
from modules.networks.names import UNET, Layer
from tests.loading import bitsandbytes_files, torchao_files
from tests.loading.torchao_files import NAME

GOLDEN = np.load(Path(__file__).parent / "data" / "gguf_blocks.npz")
ROWS, COLUMNS = 8, 256
CPU = torch.device("cpu")


def seeded(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def of_gguf(name: str) -> Packed:
    """Blocks that the gguf package knows, over and over."""
    kind = next(kind for kind in KINDS.values() if kind.name == name)
    raw, blocks = torch.from_numpy(GOLDEN[f"{name}_raw"]).reshape(-1, kind.size), ROWS * COLUMNS // kind.numbers
    data = raw[torch.arange(blocks) % len(raw)].flatten()
    return Packed({"bytes": data}, Blocks(kind), (ROWS, COLUMNS), torch.float16)


def of_bitsandbytes(*, nested: bool = False) -> Tensor:
    weights, _ = bitsandbytes_files.packed("a", seeded(ROWS, COLUMNS), nested=nested)
    return bitsandbytes.packed(weights, "x")["a"]


def of_eight_bits() -> Tensor:
    numbers = {"a.weight": (seeded(ROWS, COLUMNS) * 40).to(torch.int8), "a.SCB": seeded(ROWS).abs() + 0.1}
    return bitsandbytes.packed(numbers, "x")["a.weight"]


def of_scaled_float8(*factor: float) -> Tensor:
    numbers = {"a.weight": seeded(ROWS, COLUMNS).to(torch.float8_e4m3fn), "a.scale_weight": torch.tensor(factor)}
    return quantized.plain(numbers, torch.float32, "x")["a.weight"]


CODES = torch.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) * 7 % 16
TORCHAO: Mapping[str, Callable[[Path], Path]] = {
    "Int8Tensor": lambda path: torchao_files.written(
        path, "Int8Tensor", {"qdata": (CODES - 8).to(torch.int8), "scale": seeded(ROWS)}, [1, COLUMNS]
    ),
    "Float8Tensor": lambda path: torchao_files.written(
        path, "Float8Tensor", {"qdata": CODES.float().to(torch.float8_e4m3fn), "scale": seeded(ROWS, 1)}
    ),
    "IntxUnpackedToInt8Tensor": lambda path: torchao_files.written(
        path, "IntxUnpackedToInt8Tensor",
        {"qdata": (CODES - 8).to(torch.int8), "scale": seeded(ROWS, 4), "zero_point": CODES[:, :4].to(torch.int8)},
        [1, 64],
    ),
    "Int4Tensor": lambda path: torchao_files.written(
        path, "Int4Tensor",
        {"qdata": torchao_files.packed(CODES), "scale": seeded(4, ROWS), "zero_point": seeded(4, ROWS)}, [1, 64],
    ),
    "Int4PlainInt32Tensor": lambda path: torchao_files.written(
        path, "Int4PlainInt32Tensor",
        {"qdata": torchao_files.packed(CODES).view(torch.int32), "scale": seeded(4, ROWS),
         "zero_point": CODES[:4, :ROWS].to(torch.int8)}, [1, 64],
    ),
    "Int4TilePackedTo4dTensor": lambda path: torchao_files.written(
        path, "Int4TilePackedTo4dTensor",
        {"qdata": torchao_files.tiled(CODES), "scale_and_zero": seeded(4, ROWS, 2)}, [1, 64], shape=[ROWS, COLUMNS],
    ),
    "MXTensor": lambda path: torchao_files.written(
        path, "MXTensor",
        {"qdata": torchao_files.packed(CODES), "scale": (CODES[:, :8] + 120).byte().view(torch.float8_e8m0fnu)},
        elem_dtype="float4_e2m1fn_x2", block_size=32,
    ),
    "NVFP4Tensor": lambda path: torchao_files.written(
        path, "NVFP4Tensor",
        {"qdata": torchao_files.packed(CODES), "scale": CODES[:, :16].float().to(torch.float8_e4m3fn)}, block_size=16,
    ),
}  # fmt: skip
KINDS_OF_FILES: Mapping[str, Callable[[], Tensor]] = {
    **{kind.name: lambda name=kind.name: of_gguf(name) for kind in KINDS.values() if kind.dtype is None},  # type: ignore[misc]
    "nf4": of_bitsandbytes,
    "nf4 nested": lambda: of_bitsandbytes(nested=True),
    "int8 rows": of_eight_bits,
    "scaled float8": lambda: of_scaled_float8(0.5),
    "scaled float8 by rows": lambda: of_scaled_float8(*range(1, ROWS + 1)),
}


def obeys(weight: Tensor) -> None:
    """All that a layer does with a packed weight is what it does with its numbers."""
    assert isinstance(weight, Packed)
    kept = {name: bytes_of(part) for name, part in weight.parts.items()}
    wide = weight.to(torch.float32)
    numbers, x = dense(wide), seeded(3, 5, COLUMNS)
    assert isinstance(wide, Packed)
    assert numbers.shape == weight.shape
    assert numbers.dtype == torch.float32
    assert torch.isfinite(numbers).all()
    linear = nn.Linear(COLUMNS, ROWS, device="meta")
    linear.load_state_dict({"weight": wide, "bias": seeded(ROWS)}, assign=True)
    assert isinstance(linear.weight, Packed)
    expected = functional.linear(x, numbers, seeded(ROWS))
    with torch.no_grad():
        assert torch.equal(linear(x), expected)
    with torch.inference_mode():
        assert torch.equal(linear(x), expected)
        ids = torch.tensor([[0, 3], [ROWS - 1, 3]])
        assert torch.equal(functional.embedding(ids, wide), numbers[ids])
        for some, own in zip(wide.split([2, ROWS - 2]), numbers.split([2, ROWS - 2]), strict=True):
            assert torch.equal(dense(some), own)
        assert torch.equal(torch.cat(wide.chunk(2)), numbers)
    assert {name: bytes_of(part) for name, part in weight.parts.items()} == kept


def bytes_of(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("name", KINDS_OF_FILES)
def test_a_layer_computes_what_it_would_with_the_numbers(name: str) -> None:
    obeys(KINDS_OF_FILES[name]())


@pytest.mark.parametrize("name", TORCHAO)
def test_and_so_with_every_kind_of_torchaos(name: str, tmp_path: Path) -> None:
    obeys(opening.stored(TORCHAO[name](tmp_path / "x.safetensors"))[NAME])


@pytest.mark.parametrize("name", ["Q4_K", "nf4 nested", "int8 rows", "scaled float8 by rows"])
def test_rows_of_an_even_matrix_stay_packed(name: str) -> None:
    some = KINDS_OF_FILES[name]().chunk(2)
    assert all(isinstance(each, Packed) for each in some)
    assert sum(part.nbytes for each in some for part in packed.stored(each)) < ROWS * COLUMNS * 1.2


def test_where_a_block_goes_over_the_end_of_a_row_parts_are_unpacked() -> None:
    weights, meant = bitsandbytes_files.packed("a", seeded(6, 40))
    whole = bitsandbytes.packed(weights, "x")["a"].to(torch.float32)
    for some, own in zip(whole.chunk(3), meant.chunk(3), strict=True):
        assert not isinstance(some, Packed)
        torch.testing.assert_close(some, own)


@pytest.fixture
def layer() -> nn.Linear:
    made = nn.Linear(COLUMNS, ROWS, device="meta")
    weights = {"weight": KINDS_OF_FILES["Q4_K"]().to(torch.float32), "bias": torch.zeros(ROWS)}
    made.load_state_dict(weights, assign=True)
    return made.requires_grad_(requires_grad=False)


def test_other_devices_and_number_formats_leave_the_bytes_as_they_are(layer: nn.Linear) -> None:
    assert isinstance(layer.weight, Packed)
    before = layer.weight.parts["bytes"].clone()
    expected, x = layer(seeded(2, COLUMNS)), seeded(2, COLUMNS)
    half = copy.deepcopy(layer).to(torch.bfloat16)
    assert isinstance(half.weight, Packed)
    assert half.weight.dtype == half(x.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(half.weight.parts["bytes"], before)
    assert torch.equal(half.to(torch.float32)(x), expected)
    half.to("meta")  # the one other device that every machine has
    assert half.weight.device == half.weight.parts["bytes"].device == torch.device("meta")
    assert packed.size(layer) == before.nbytes + ROWS * 4


@pytest.mark.parametrize("mode", [False, True])
def test_what_moves_a_weight_may_assign_it(mode: bool, layer: nn.Linear) -> None:
    """As modules do, in inference mode too; but no other numbers."""
    x, expected, before = seeded(2, COLUMNS), layer(seeded(2, COLUMNS)), packed.size(layer)
    with torch.inference_mode(mode):
        kept, layer.weight.data = layer.weight.data, layer.weight.to(torch.bfloat16)
        assert layer.weight.dtype == torch.bfloat16
        layer.weight.data = kept
        with pytest.raises(TypeError, match="unpack them first"):
            layer.weight.data = seeded(ROWS, COLUMNS)
    assert torch.equal(layer(x), expected)
    assert packed.size(layer) == before


def test_it_follows_its_layer_to_the_accelerator_and_is_back_afterwards(layer: nn.Linear) -> None:
    before, size = [bytes_of(part) for part in packed.stored(layer.weight)], packed.size(layer)
    follow(layer, torch.device("meta"))
    merge = Merge(CPU)
    for terms in ([], [(0.5, LoRA(up=seeded(ROWS, 2), down=seeded(2, COLUMNS)))]):
        merge.set({Target(Layer(UNET, "layer", layer), "weight"): terms} if terms else {})
        with torch.inference_mode():
            assert layer(torch.ones(2, COLUMNS, device="meta")).device.type == "meta"
    assert isinstance(layer.weight, Packed)
    assert [bytes_of(part) for part in packed.stored(layer.weight)] == before
    assert packed.size(layer) == size


def test_networks_are_worn_and_taken_off_without_a_changed_bit(layer: nn.Linear) -> None:
    x, numbers, before = seeded(2, COLUMNS), dense(layer.weight), packed.size(layer)
    kept = [bytes_of(part) for part in packed.stored(layer.weight)]
    low = LoRA(up=seeded(ROWS, 2), down=seeded(2, COLUMNS))
    merge, target = Merge(CPU), Layer(UNET, "layer", layer)
    shift = Difference(difference=torch.ones(ROWS))
    merge.set({Target(target, "weight"): [(0.5, low)], Target(target, "bias"): [(2.0, shift)]})
    torch.testing.assert_close(
        layer(x), functional.linear(x, numbers + 0.5 * low.delta(numbers), torch.full((ROWS,), 2.0))
    )
    assert packed.size(layer) == before
    merge.set({})
    assert torch.equal(layer(x), functional.linear(x, numbers))
    assert [bytes_of(part) for part in packed.stored(layer.weight)] == kept


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.weight.add_(1),
        lambda layer: layer.load_state_dict({"weight": torch.ones(ROWS, COLUMNS)}, strict=False),
    ],
)
def test_nothing_is_written_to_one(change: Callable[[nn.Linear], object], layer: nn.Linear) -> None:
    with pytest.raises(RuntimeError, match="are not written to"):
        change(layer)


def test_eight_bits_of_settings_leave_it_as_it_is(layer: nn.Linear) -> None:
    expected = layer(seeded(2, COLUMNS))
    storage.compress(nn.Sequential(layer), torch.float32)
    assert isinstance(layer.weight, Packed)
    assert torch.equal(layer(seeded(2, COLUMNS)), expected)


def test_unpacked_it_is_an_ordinary_weight_and_its_parts_are_let_go(layer: nn.Linear) -> None:
    parts, expected = list(packed.stored(layer.weight)), layer(seeded(2, COLUMNS))
    told: list[Tensor] = []
    packed.unpack(nn.Sequential(layer), told.append)
    assert type(layer.weight) is nn.Parameter
    assert [id(each) for each in told] == [id(part) for part in parts]
    assert torch.equal(layer(seeded(2, COLUMNS)), expected)


def test_gradients_go_through_to_what_is_learnt(layer: nn.Linear) -> None:
    x = seeded(2, COLUMNS).requires_grad_()
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, dense(layer.weight).sum(0).expand(2, -1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", KINDS_OF_FILES)
def test_on_a_gpu_it_unpacks_to_the_same_numbers(name: str) -> None:
    weight = KINDS_OF_FILES[name]().to(torch.float32)
    layer = nn.Sequential(nn.Linear(COLUMNS, ROWS, bias=False, device="meta"))
    layer[0].weight = nn.Parameter(weight, requires_grad=False)
    layer.to("cuda")
    assert {part.device.type for part in packed.stored(layer[0].weight)} == {"cuda"}
    torch.testing.assert_close(dense(layer[0].weight).cpu(), dense(weight))
    assert layer(torch.ones(1, COLUMNS, device="cuda")).device.type == "cuda"


def test_a_weight_that_is_moved_tells_its_new_device(layer: nn.Linear) -> None:
    """What torch does when a module goes to an accelerator, as far as it can be done without one."""
    weight = layer.weight
    assert isinstance(weight, Packed)
    there = Tensor._make_wrapper_subclass(Packed, weight.shape, dtype=weight.dtype, device=torch.device("cuda"))
    there.parts, there.packing = weight.parts, weight.packing
    weight.data = there
    assert layer.weight.device.type == "cuda"
    weight.data = Packed(weight.parts, weight.packing, (ROWS, COLUMNS), torch.float32)
    assert torch.isfinite(layer(seeded(2, COLUMNS))).all()
