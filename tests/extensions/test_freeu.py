"""FreeU weighs the two flows of a UNet's decoder; weights of 1 change no bit, and afterwards nothing is left."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from extensions.freeu import freeu
from modules.core.errors import BadRequest
from modules.generate.request import Txt2Img
from tests.studio import MENUS, Bench

JOB = Txt2Img(prompt="a cat", seed=1, subseed=1, width=64, height=64, steps=3)


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    with bench.extended("freeu"):
        yield


def asked(*values: object) -> Txt2Img:
    return dataclasses.replace(JOB, extension_args={"freeu": [True, *values]})


def pixels(bench: Bench, request: Txt2Img) -> np.ndarray:
    return np.asarray(bench.images(request)[0].convert("RGB")).astype(int)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("second", [False, True])
def test_weights_of_one_change_nothing(second: bool) -> None:
    maps = noise(2, 12, 8, 8)
    assert (freeu.weighed(maps, 8, (1.0, 1.0), second=second) - maps).abs().max() < 1e-5


def test_the_first_version_multiplies_the_backbones_first_half_alone() -> None:
    maps = noise(2, 12, 8, 8)
    found = freeu.weighed(maps, 8, (1.5, 1.0), second=False)
    assert torch.equal(found[:, :4], maps[:, :4] * 1.5)
    assert torch.equal(found[:, 4:8], maps[:, 4:8])
    assert torch.allclose(found[:, 8:], maps[:, 8:], atol=1e-5)


def test_the_second_version_follows_what_the_backbone_shows() -> None:
    maps = torch.ones(1, 12, 8, 8)
    maps[:, :8, :4] = 3.0
    found = freeu.weighed(maps, 8, (1.5, 1.0), second=True)
    assert torch.allclose(found[:, :4, :4], torch.tensor(3 * 1.5))
    assert torch.allclose(found[:, :4, 4:], torch.tensor(1.0))


def test_only_low_frequencies_are_lowered() -> None:
    flat, (row, column) = torch.full((1, 1, 8, 8), 2.0), torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = ((row + column) % 2 * 2.0 - 1).reshape(1, 1, 8, 8)
    found = freeu.lowered(flat + board, 0.25)
    assert torch.allclose(found, flat * 0.25 + board, atol=1e-5)


def test_the_tiny_model_is_met_where_its_channels_are_doubled(bench: Bench) -> None:
    unet: Any = bench.studio.model(next(iter(planned(bench)))).unet
    base, met = unet.config.block_out_channels[0], [channels for _, channels in freeu.decoder(unet)]
    assert len(met) == sum(len(block.resnets) for block in unet.up_blocks)
    resnet: Any
    for (resnet, backbone), following in zip(freeu.decoder(unet), [*met[1:], base], strict=True):
        assert resnet.in_channels > backbone
        assert resnet.out_channels == following


def planned(bench: Bench) -> Iterator[object]:
    events: list[object] = []
    remove = bench.moments.planned.add(lambda event: events.append(event.plan), owner="test")
    bench.make(JOB)
    remove()
    yield from events


def test_the_picture_changes_and_the_model_is_as_before(bench: Bench) -> None:
    before = pixels(bench, JOB)
    assert np.abs(pixels(bench, asked("1", 1.5, 1.6, 0.5, 0.2)) - before).max() > 3
    assert np.array_equal(pixels(bench, JOB), before)
    assert np.abs(pixels(bench, asked("2", 1, 1, 1, 1)) - before).max() <= 1
    assert np.array_equal(pixels(bench, asked("2", 1.5, 1.6, 0.5, 0.2, 1, 0)), before)  # from the end to the start


def test_the_infotext_has_all_of_it_and_gives_it_back(bench: Bench) -> None:
    text = bench.make(asked("1", 1.2))["info"]["infotexts"][0]
    assert "FreeU: True, FreeU version: 1, FreeU b1: 1.2, FreeU b2: 1.4, FreeU s1: 0.9, FreeU s2: 0.2" in text
    parsed = dict(each.split(": ") for each in text.splitlines()[-1].split(", "))
    told = bench.scripts.told(MENUS, "txt2img", parsed)["freeu"]
    assert (told["enabled"], told["version"], told["b1"], told["end"]) == (True, "1", 1.2, 1)


def test_numbers_out_of_range_are_refused(bench: Bench) -> None:
    with pytest.raises(BadRequest, match="Backbone, deep must be at most 3"):
        bench.scripts.check_always_on({"FreeU": {"args": [True, "2", 4]}}, "txt2img", MENUS)
    with pytest.raises(BadRequest, match="takes 8"):
        bench.scripts.check_always_on({"FreeU": {"args": [True] * 9}}, "txt2img", MENUS)
