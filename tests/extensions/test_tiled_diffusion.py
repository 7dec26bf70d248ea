"""Tiles of which one covers all change no bit; their shares sum to one; what is the same everywhere is put together."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from extensions.tiled_diffusion import tiled
from extensions.tiled_diffusion.extension import METHODS
from modules.core.errors import BadRequest
from modules.generate.request import Txt2Img
from tests.studio import Bench

JOB = Txt2Img(prompt="a cat", seed=1, subseed=1, width=192, height=128, steps=1, batch_size=2)


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    with bench.extended("tiled_diffusion"):
        yield


def values(**changes: Any) -> dict[str, Any]:
    return {"method": METHODS[0], "width": 24, "height": 16, "overlap": 8, "batch": 3} | changes


def pixels(bench: Bench, *args: object) -> np.ndarray:
    asked = dataclasses.replace(JOB, extension_args={"tiled diffusion": list(args)} if args else {})
    return np.asarray(bench.images(asked)[0].convert("RGB")).astype(int)


@pytest.mark.parametrize("length", [24, 25, 64, 65, 96, 104, 200, 257])
@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (16, 12), (24, 8), (96, 48), (64, 60)])
def test_tiles_cover_all_and_overlap_as_asked(length: int, tile: int, overlap: int) -> None:
    found = tiled.starts(length, min(tile, length), overlap)
    assert found[0] == 0
    assert found[-1] + min(tile, length) == length
    steps = [after - before for before, after in itertools.pairwise(found)]
    assert all(0 < step <= max(8, tile - overlap) for step in steps)
    assert all(start % 8 == 0 for start in found[:-1])


@pytest.mark.parametrize("bell", [False, True])
def test_shares_sum_to_one_everywhere(bell: bool) -> None:
    boxes = list(tiled.tiles(40, 70, values()))
    total = torch.zeros(40, 70)
    for box, share in zip(boxes, tiled.weights(boxes, 40, 70, bell=bell), strict=True):
        total[box.top : box.bottom, box.left : box.right] += share
    assert torch.allclose(total, torch.ones(40, 70), atol=1e-6)
    assert len(tiled.weights([tiled.Box(0, 9, 0, 7)], 9, 7, bell=bell)) == 1
    assert torch.equal(tiled.weights([tiled.Box(0, 9, 0, 7)], 9, 7, bell=bell)[0], torch.ones(9, 7))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_what_a_network_says_of_each_place_is_put_together_with_its_own_rows(method: str, batch: int) -> None:
    seen: list[int] = []

    def network(sample: Tensor, time: Tensor, *, text: Tensor, more: Any, return_dict: bool = True, **maps: Any) -> Any:
        seen.append(len(sample))
        residual = torch.nn.functional.interpolate(maps["down_block_additional_residuals"][0], scale_factor=2.0)
        return (sample * text[:, None, None] + time[:, None, None, None] + more["ids"][:, :, None, None] + residual,)

    chance = torch.Generator().manual_seed(1)
    sample, map = torch.randn(2, 4, 40, 64, generator=chance), torch.randn(2, 4, 20, 32, generator=chance)
    named = {"text": torch.tensor([[2.0], [3.0]]), "more": {"ids": torch.tensor([[1.0], [5.0]])}}
    named["down_block_additional_residuals"] = (map,)
    time = torch.tensor([7.0, 8.0])
    found = tiled.tiled(network, values(method=method, batch=batch))(sample, time, **named)[0]
    assert max(seen) == 2 * min(batch, len(list(tiled.tiles(40, 64, values()))))
    assert torch.allclose(found, network(sample, time, **named)[0], atol=1e-5)


def test_maps_that_tiles_cannot_cut_are_refused() -> None:
    with pytest.raises(BadRequest, match="multiples of 64"):
        tiled.Box(0, 16, 3, 19).of(torch.zeros(1, 1, 16, 10), 32)


def test_one_tile_changes_no_bit_and_many_do_and_the_model_is_as_before(bench: Bench) -> None:
    before = pixels(bench)
    assert np.array_equal(pixels(bench, True, METHODS[0], 96, 96, 48), before)
    assert np.array_equal(pixels(bench, True, METHODS[1], 24, 16, 8), before)
    assert np.abs(pixels(bench, True, METHODS[0], 16, 16, 8) - before).max() > 0
    assert np.array_equal(pixels(bench), before)


def test_an_overlap_as_large_as_the_tile_is_refused(bench: Bench) -> None:
    asked = {"tiled diffusion": {"args": [True, METHODS[0], 16, 16, 16]}}
    with pytest.raises(BadRequest, match="leaves nothing"):
        bench.house.scripts.check_always_on(asked, "txt2img", bench.house.menus)
