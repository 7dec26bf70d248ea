"""What a layer wears counts as if it were merged, and its own weights are never touched, however coarse they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from modules.generate.request import Txt2Img
from modules.loading import storage
from modules.networks import worn
from modules.networks.deltas import Difference, LoRA
from modules.networks.merge import Merge, Target
from modules.networks.names import UNET, Layer
from tests.reference.cases import psnr
from tests.studio import NETWORKS, Bench

SMALL = {"steps": 2, "width": 64, "height": 64, "seed": 5}


def layer(*, bias: bool = True) -> Layer:
    torch.manual_seed(0)
    return Layer(UNET, "layer", nn.Sequential(nn.Linear(16, 16, bias=bias)).requires_grad_(requires_grad=False)[0])


def low_rank(strength: float = 0.02) -> LoRA:
    return LoRA(up=torch.randn(16, 2) * strength, down=torch.randn(2, 16))


def bytes_of(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("bias", [True, False])
def test_eight_bits_with_a_network_compute_as_the_widened_merged_ones(bias: bool) -> None:
    plain = layer(bias=bias)
    storage.compress(plain.module, torch.float32)
    delta, shift, x = low_rank(), Difference(difference=torch.ones(16)), torch.randn(3, 16)
    before = bytes_of(plain.weight)
    assert plain.weight.dtype == storage.EIGHT_BITS
    own = plain.module.bias
    base = own.float() if isinstance(own, Tensor) else torch.zeros(16)
    expected = x @ (plain.weight.float() + 0.5 * delta.delta(plain.weight.float())).T + base + 2
    merge = Merge(torch.device("cpu"), torch.float32)
    merge.set({Target(plain, "weight"): [(0.5, delta)], Target(plain, "bias"): [(2.0, shift)]})
    torch.testing.assert_close(plain.module(x), expected)
    assert bytes_of(plain.weight) == before
    merge.set({})
    assert not merge.changed
    assert bytes_of(plain.weight) == before
    assert (plain.module.bias is not None) is bias
    torch.testing.assert_close(plain.module(x), x @ plain.weight.float().T + base)


def test_rounding_to_eight_bits_would_lose_what_is_worn() -> None:
    plain, delta = layer(), low_rank(0.0005)
    narrow = plain.weight.to(storage.EIGHT_BITS)
    change = delta.delta(narrow.float())
    rounded = (narrow.float() + change).to(storage.EIGHT_BITS).float() - narrow.float()
    assert (rounded - change).norm() > 0.5 * change.norm()
    assert (worn.total(narrow, [(1.0, delta)]) - narrow.float() - change).norm() < 1e-3 * change.norm()


def test_a_layer_that_breaks_is_undressed() -> None:
    class Breaking(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            raise RuntimeError("the layer broke")

    module = Breaking(16, 16)
    before = bytes_of(module.weight.detach())
    worn.put_on(module, {"weight": [(1.0, low_rank())]}, torch.float32)
    with pytest.raises(RuntimeError, match="broke"):
        module(torch.ones(16))
    assert bytes_of(module.weight.detach()) == before


def test_what_cannot_be_worn_is_refused_before_it_is_used() -> None:
    plain, merge = layer(), Merge(torch.device("cpu"))
    wanted = {Target(plain, "weight"): [(1.0, Difference(difference=torch.ones(3)))]}
    with pytest.raises(RuntimeError):
        merge.set(wanted, at_run_time=True)
    assert not merge.changed
    assert not plain.module._forward_pre_hooks


@pytest.mark.skipif(not (NETWORKS / "Lora").is_dir(), reason="the reference's LoRA files are absent")
@pytest.mark.parametrize("kind", ["lora", "locon", "loha", "lokr", "dora", "ia3"])
def test_pictures_are_those_of_merged_networks(bench: Bench, kind: str) -> None:
    asked = Txt2Img(**SMALL, prompt=f"a cat <lora:tiny-{kind}:0.8>")
    plain = bench.images(Txt2Img(**SMALL, prompt="a cat"))[0]
    merged = bench.images(asked)[0]
    assert psnr(bench.images(asked, lora_functional=True)[0], merged) > 60
    assert psnr(bench.images(Txt2Img(**SMALL, prompt="a cat"))[0], plain) == 99
