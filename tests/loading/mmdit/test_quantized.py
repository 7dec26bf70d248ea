"""Laws of small numbers: a scaled matrix is its factor times what is stored; formats that are not read are named."""

from __future__ import annotations

import pytest
import torch

from modules.core.errors import DamagedFile
from modules.loading.mmdit.quantized import plain


@pytest.mark.parametrize("name", ["scale_weight", "weight_scale"])
def test_a_scaled_matrix_is_multiplied_out(name: str) -> None:
    stored = torch.tensor([[1.0, -2.0], [0.5, 4.0]]).to(torch.float8_e4m3fn)
    weights = {
        "scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn),
        "block.weight": stored,
        f"block.{name}": torch.tensor(0.25),
        "block.scale_input": torch.tensor(1.0),
        "block.bias": torch.ones(2),
    }
    found = plain(weights, torch.float32, "x")
    assert set(found) == {"block.weight", "block.bias"}
    assert torch.equal(found["block.weight"], torch.tensor([[0.25, -0.5], [0.125, 1.0]]))


def test_a_factor_a_row() -> None:
    weights = {"a.weight": torch.ones(2, 3), "a.weight_scale": torch.tensor([2.0, 3.0])}
    assert plain(weights, torch.float32, "x")["a.weight"].tolist() == [[2.0] * 3, [3.0] * 3]


def test_what_is_not_scaled_stays_a_view_of_the_file() -> None:
    weights = {"a.weight": torch.ones(2, 3)}
    assert plain(weights, torch.float16, "x")["a.weight"] is weights["a.weight"]


@pytest.mark.parametrize("name", ["a.weight_qdata", "a.qweight", "a.weight_scale_2"])
def test_a_format_that_is_not_read_is_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(DamagedFile, match=r"flux-nf4\.safetensors.*does not read.*bfloat16"):
        plain({name: torch.ones(1)}, torch.float32, "flux-nf4.safetensors")
