"""Every kind's merged change against its formula, written out anew for one entry or with plain matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modules.networks.deltas import (
    BOFT,
    IA3,
    OFT,
    Bias,
    Delta,
    Difference,
    DoRA,
    GLoRA,
    LoHa,
    LoKr,
    LoRA,
    Shifted,
    cayley,
    cut,
)
from modules.networks.worn import total


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LINEAR = random(6, 8, seed=1)
CONVOLUTION = random(6, 8, 3, 3, seed=2)


def agree(delta: Delta, weight: Tensor, expected: Tensor) -> None:
    found = delta.delta(weight)
    assert found.shape == weight.shape
    torch.testing.assert_close(found, expected.reshape(weight.shape), rtol=1e-4, atol=1e-5)


def test_lora() -> None:
    up, down = random(6, 2), random(2, 8)
    agree(LoRA(up=up, down=down, scale=0.5), LINEAR, 0.5 * torch.einsum("or,ri->oi", up, down))


def test_lora_of_a_convolution() -> None:
    up, down = random(6, 2, 1, 1), random(2, 8, 3, 3)
    agree(LoRA(up=up, down=down), CONVOLUTION, torch.einsum("orab,rikl->oikl", up, down))


def test_locon_with_a_middle() -> None:
    up, middle, down = random(6, 2, 1, 1), random(2, 3, 3, 3), random(3, 8, 1, 1)
    expected = torch.einsum("on,nmkl,mi->oikl", up[..., 0, 0], middle, down[..., 0, 0])
    agree(LoRA(up=up, down=down, middle=middle, scale=2.0), CONVOLUTION, 2 * expected)


def test_fewer_ranks_are_the_first_ones() -> None:
    up, down = random(6, 4), random(4, 8)
    whole = LoRA(up=up, down=down, scale=0.5)
    agree(cut(whole, 1), LINEAR, 0.5 * torch.outer(up[:, 0], down[0]))
    magnitude = random(1, 8).abs()
    within = cut(DoRA(inner=whole, magnitude=magnitude), 1)
    agree(within, LINEAR, DoRA(inner=whole.cut(1), magnitude=magnitude).delta(LINEAR))
    difference = Difference(difference=LINEAR)
    assert cut(difference, 1) is difference


def test_loha() -> None:
    a, b, c, d = random(6, 2), random(2, 8), random(6, 2, seed=3), random(2, 8, seed=4)
    expected = torch.einsum("or,ri,os,si->oi", a, b, c, d)
    agree(LoHa(w1_a=a, w1_b=b, w2_a=c, w2_b=d, scale=0.3), LINEAR, 0.3 * expected)


def test_loha_with_tucker_cores() -> None:
    a, b, t = random(2, 6), random(2, 8), random(2, 2, 3, 3)
    c, d, u = random(2, 6, seed=3), random(2, 8, seed=4), random(2, 2, 3, 3, seed=5)
    first = torch.einsum("po,pqkl,qi->oikl", a, t, b)
    second = torch.einsum("po,pqkl,qi->oikl", c, u, d)
    agree(LoHa(w1_a=a, w1_b=b, w2_a=c, w2_b=d, t1=t, t2=u), CONVOLUTION, first * second)


def test_lokr() -> None:
    w1, w2 = random(2, 4), random(3, 2)
    expected = torch.einsum("ab,cd->acbd", w1, w2).reshape(6, 8)
    agree(LoKr(w1=w1, w2=w2, scale=0.7), LINEAR, 0.7 * expected)


def test_lokr_of_a_convolution() -> None:
    w1, w2 = random(2, 4), random(3, 2, 3, 3)
    agree(LoKr(w1=w1, w2=w2), CONVOLUTION, torch.einsum("ab,cdkl->acbdkl", w1, w2))


@pytest.mark.parametrize("weight", [LINEAR, CONVOLUTION])
def test_ia3(weight: Tensor) -> None:
    inputs, outputs = random(8), random(6)
    agree(IA3(factors=inputs, on_input=True), weight, torch.einsum("oi...,i->oi...", weight, inputs))
    agree(IA3(factors=outputs, on_input=False), weight, torch.einsum("oi...,o->oi...", weight, outputs))


def test_a_difference_is_itself() -> None:
    agree(Difference(difference=CONVOLUTION, scale=0.5), CONVOLUTION, CONVOLUTION / 2)


def test_glora() -> None:
    a1, a2, b1, b2 = random(2, 8), random(8, 2), random(2, 8, seed=3), random(6, 2)
    agree(GLoRA(a1=a1, a2=a2, b1=b1, b2=b2), LINEAR, b2 @ b1 + torch.einsum("oj,jr,ri->oi", LINEAR, a2, a1))


def test_cayley_makes_rotations() -> None:
    turned = cayley(random(5, 4, 4), 0.0)
    assert torch.allclose(turned @ turned.transpose(1, 2), torch.eye(4).expand(5, 4, 4), atol=1e-5)
    assert torch.allclose(cayley(torch.zeros(2, 3, 3), 1.0), torch.eye(3).expand(2, 3, 3))


@pytest.mark.parametrize("weight", [LINEAR, CONVOLUTION])
def test_oft_turns_outputs_block_by_block(weight: Tensor) -> None:
    blocks = random(2, 3, 3)
    full = torch.block_diag(*cayley(blocks, 0.0))
    agree(OFT(blocks=blocks), weight, torch.einsum("po,pi...->oi...", full, weight) - weight)
    rotations = cayley(blocks, 0.0)
    agree(OFT(blocks=rotations, rotations=True), weight, OFT(blocks=blocks).delta(weight))


def test_oft_keeps_lengths_and_its_constraint() -> None:
    turned = OFT(blocks=random(2, 3, 3)).delta(LINEAR) + LINEAR
    assert torch.allclose(turned.norm(dim=0), LINEAR.norm(dim=0), atol=1e-5)
    small = OFT(blocks=random(2, 3, 3), constraint=1e-6).delta(LINEAR)
    assert small.abs().max() < 1e-4


def test_boft_is_a_product_of_butterflies() -> None:
    """Against dense matrices: factor i turns, in blocks of b, rows that lie 2^i * b/2 apart."""
    weight, blocks, rescale = random(8, 5), random(2, 4, 2, 2), random(8, seed=9)
    dense = weight
    for index, factor in enumerate(cayley(blocks, 0.0)):
        stride = 2**index
        order = torch.arange(8).reshape(-1, 2, stride).transpose(1, 2).flatten()
        mixed = torch.block_diag(*factor) @ dense[order]
        dense = torch.empty_like(dense)
        dense[order] = mixed
    agree(BOFT(blocks=blocks, rescale=rescale), weight, dense * rescale[:, None] - weight)


@pytest.mark.parametrize("weight", [LINEAR, CONVOLUTION])
@pytest.mark.parametrize("axis", [0, 1])
def test_dora_gives_the_result_its_magnitudes(weight: Tensor, axis: int) -> None:
    shape = [1] * weight.dim()
    shape[axis] = weight.shape[axis]
    magnitude = random(*shape).abs() + 0.1
    delta = DoRA(inner=Difference(difference=random(*weight.shape, seed=7)), magnitude=magnitude).delta(weight)
    merged = (weight + delta).transpose(0, axis).flatten(1)
    assert torch.allclose(merged.norm(dim=1), magnitude.flatten(), rtol=1e-4)


def test_a_shift_is_added_at_the_same_scale() -> None:
    inner = LoRA(up=random(6, 2), down=random(2, 8), scale=0.5)
    agree(Shifted(inner=inner, shift=LINEAR, scale=0.5), LINEAR, inner.delta(LINEAR) + LINEAR / 2)


def test_matrices_that_do_not_fit_are_an_error() -> None:
    for wrong in (
        LoRA(up=random(5, 2), down=random(2, 8)),
        OFT(blocks=random(2, 2, 2)),
        Difference(difference=LINEAR.T[:4]),
    ):
        with pytest.raises((ValueError, RuntimeError)):
            wrong.delta(LINEAR)


def test_half_files_are_worked_out_in_half_where_a1111_does() -> None:
    half, wide = random(6, 8).half(), random(6, 8)
    assert Difference(difference=half).precision == torch.float16
    assert Difference(difference=half.bfloat16()).precision == torch.bfloat16
    assert Difference(difference=wide).precision == Bias(difference=half).precision == torch.float32
    assert LoRA(up=half, down=half).precision == torch.float32
    assert DoRA(inner=Difference(difference=half), magnitude=wide).precision == torch.float16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_half_file_rounds_the_whole_weight_as_a1111_does(dtype: torch.dtype) -> None:
    """A1111: weight.to(file's) + delta * scale * strength, every step rounded, and then back."""
    w1, w2 = random(2, 2).to(dtype), random(3, 4).to(dtype)
    lokr = LoKr(w1=w1, w2=w2, scale=0.3)
    expected = LINEAR.to(dtype) + torch.kron(w1, w2) * 0.3 * 0.7
    assert torch.equal(total(LINEAR, [(0.7, lokr)]), expected.float())
    shift = random(6, seed=3).to(dtype)
    assert torch.equal(total(LINEAR[:, 0], [(1.0, Bias(difference=shift))]), LINEAR[:, 0] + shift)
