"""What is cut is joined again, tiles are no smaller than they may be, and taking off leaves no trace."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from modules.loading import hypertile
from modules.loading.hypertile import Cut, apart, layers, proportioned, put_on_unet, tiles, together


class Attention(nn.Module):
    """Each place gets the mean of all places: what attention to everything alike would give."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1, keepdim=True).expand_as(x)


def network(*names: str) -> nn.Module:
    """A module with an attention under each dotted name."""
    root = nn.Module()
    for name in names:
        at, *rest = root, *name.split(".")
        for word in rest[:-1]:
            if not hasattr(at, word):
                at.add_module(word, nn.Module())
            at = getattr(at, word)
        at.add_module(rest[-1], Attention())
    return root


SD1 = [
    *(f"down_blocks.{level}.attentions.0.transformer_blocks.0.attn1" for level in range(3)),
    "mid_block.attentions.0.transformer_blocks.0.attn1",
    *(f"up_blocks.{level}.attentions.2.transformer_blocks.0.attn1" for level in (1, 2, 3)),
]
XL = [
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1",
    "down_blocks.1.attentions.0.transformer_blocks.1.attn1",
    "down_blocks.2.attentions.0.transformer_blocks.9.attn1",
    "mid_block.attentions.0.transformer_blocks.4.attn1",
    "up_blocks.0.attentions.0.transformer_blocks.3.attn1",
    "up_blocks.1.attentions.0.transformer_blocks.0.attn1",
]


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_what_is_cut_is_joined_again(batch: int, rows: int, columns: int, height: int, width: int) -> None:
    grid, shape = (rows, columns), (rows * height, columns * width)
    flat = torch.randn(batch, shape[0] * shape[1], 5)
    square = torch.randn(batch, 5, *shape)
    for x in (flat, square):
        cut = apart(x, grid, shape)
        assert cut.shape[0] == batch * rows * columns
        assert torch.equal(together(cut, grid, shape), x)


def test_a_tile_is_a_part_of_the_picture() -> None:
    places = torch.arange(16.0).reshape(1, 16, 1)  # 4 x 4
    cut = apart(places, (2, 2), (4, 4))
    assert cut[0].flatten().tolist() == [0, 1, 4, 5]
    assert cut[3].flatten().tolist() == [10, 11, 14, 15]
    assert torch.equal(apart(places.reshape(1, 1, 4, 4), (2, 2), (4, 4)).flatten(1), cut.flatten(1))


@given(st.integers(1, 300), st.integers(1, 80), st.integers(0, 6), st.integers(0, 99))
def test_tiles_divide_the_length_and_are_large_enough(length: int, least: int, choices: int, seed: int) -> None:
    count = tiles(length, least, choices, random.Random(seed))
    assert length % count == 0
    assert count == 1 or length // count >= least


@given(st.integers(1, 40), st.integers(1, 40))
def test_proportions_are_found_again(first: int, second: int) -> None:
    assert proportioned(first * second, first / second) == (first, second)


def test_depths() -> None:
    assert [depth for _, depth in layers(network(*SD1))] == [0, 1, 2, 3, 2, 1, 0]
    assert [depth for _, depth in layers(network(*XL))] == [0, 1, 1, 2, 1, 0]
    assert not list(layers(network("transformer_blocks.0.attn", "encoder.mid_block.attentions.0")))


@pytest.mark.parametrize(
    ("size", "largest", "side"),
    [((512, 768), 256, 256), ((512, 768), 128, 128), ((512, 520), 256, 128), ((1024, 1024), 512, 512)],
)
def test_the_side_of_a_tile(size: tuple[int, int], largest: int, side: int) -> None:
    assert Cut(size=size, largest=largest, choices=3, depth=3).side == side


def test_a_cut_layer_attends_to_its_tile_and_a_restored_one_to_all() -> None:
    unet = network(*SD1)
    layer = unet.get_submodule(SD1[0])
    deep = unet.get_submodule(SD1[1])
    x = torch.arange(32.0 * 32).reshape(1, 1024, 1)
    remove = put_on_unet(unet, Cut(size=(256, 256), largest=128, choices=1, depth=0), random.Random(1))
    assert layer(x).unique().numel() == 4
    assert deep(x).unique().numel() == 1
    remove()
    assert layer(x).unique().numel() == 1
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks


def test_the_decoder_has_one_layer() -> None:
    vae = network("encoder.mid_block.attentions.0", "decoder.mid_block.attentions.0")
    hypertile.put_on_decoder(vae, Cut(size=(512, 512), largest=128, choices=1, depth=3), random.Random(1))
    hooked = [name for name, module in vae.named_modules() if module._forward_hooks]
    assert hooked == ["decoder.mid_block.attentions.0"]
