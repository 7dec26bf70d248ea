"""What bitsandbytes packed comes out as its nearest numbers were, blocks and nested scales included; models load it,
and headers have the matrices' own shapes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modules.core.errors import DamagedFile
from modules.loading import bitsandbytes, opening
from tests.generate.transformers import TransformerBench
from tests.loading.bitsandbytes_files import packed
from tests.loading.mmdit import families


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("shape", [(8, 16), (40, 30), (300, 64)])
def test_four_bits(shape: tuple[int, int], nested: bool, kind: str) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weights, meant = packed("a.weight", matrix, nested=nested, kind=kind)
    found = bitsandbytes.packed({**weights, "a.bias": torch.ones(3)}, "x")
    assert set(found) == {"a.weight", "a.bias"}
    torch.testing.assert_close(found["a.weight"].to(torch.float32) + 0, meant)
    assert (found["a.weight"] - matrix).abs().mean() < 0.2


def test_eight_bits_by_rows() -> None:
    matrix = torch.randn(5, 7)
    largest = matrix.abs().amax(1)
    stored = (matrix / largest[:, None] * 127).round().to(torch.int8)
    found = bitsandbytes.packed(
        {"a.weight": stored, "a.SCB": largest, "a.weight_format": torch.zeros(1, dtype=torch.uint8)}, "x"
    )
    assert set(found) == {"a.weight"}
    assert (found["a.weight"] - matrix).abs().max() < float(largest.max()) / 200


def test_a_file_that_lacks_its_scales_is_refused_by_name() -> None:
    weights, _ = packed("a.weight", torch.randn(8, 16))
    del weights["a.weight.absmax"]
    with pytest.raises(DamagedFile, match=r"flux\.safetensors.*absmax"):
        bitsandbytes.packed(weights, "flux.safetensors")


def test_a_header_tells_shapes_without_reading_the_numbers(tmp_path: Path) -> None:
    four, _ = packed("a.weight", torch.randn(8, 16), nested=True)
    eight = {"b.weight": torch.ones(3, 5, dtype=torch.int8), "b.SCB": torch.ones(3), "b.bias": torch.ones(3)}
    save_file({**four, **eight}, tmp_path / "x.safetensors")
    facts, found = opening.header(tmp_path / "x.safetensors"), opening.tensors(tmp_path / "x.safetensors")
    assert {name: info.shape for name, info in facts.tensors.items()} == {
        "a.weight": (8, 16),
        "b.weight": (3, 5),
        "b.bias": (3,),
    }
    assert {name: tuple(each.shape) for name, each in found.items()} == {n: i.shape for n, i in facts.tensors.items()}


def test_a_header_that_tells_nonsense_is_refused_by_name(tmp_path: Path) -> None:
    weights, _ = packed("a.weight", torch.randn(8, 16))
    weights["a.weight.quant_state.bitsandbytes__nf4"] = torch.ones(4, dtype=torch.uint8)
    save_file(weights, tmp_path / "x.safetensors")
    with pytest.raises(DamagedFile, match=r"x\.safetensors: what it tells"):
        opening.header(tmp_path / "x.safetensors")


def test_a_model_in_four_bits_is_loaded(tmp_path: Path) -> None:
    place, files = "Stable-diffusion/tiny.safetensors", families.FAMILIES["flux dev apart"]()
    weights, expected = dict(files.weights[place]), {}
    for name in [name for name in weights if "blocks." in name and weights[name].dim() == 2]:
        small, expected[name] = packed(name, weights[name].float(), nested=True)
        del weights[name]
        weights |= small
    assert len(expected) > 10
    studio = TransformerBench(
        tmp_path, families.Files(family="flux", weights={**files.weights, place: weights}, others=files.others)
    )
    assert studio.library.checkpoints()[0].family == "flux"
    state = studio.model.unet.state_dict()
    whole = torch.cat([state[f"transformer_blocks.0.attn.to_{part}.weight"] for part in "qkv"])
    torch.testing.assert_close(whole, expected["double_blocks.0.img_attn.qkv.weight"])
