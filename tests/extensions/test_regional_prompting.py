"""Regions part the picture without gap or overlap; each has its own prompt, and one prompt for all is that prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from extensions.regional_prompting import regional, regions
from modules.core.errors import BadRequest
from modules.generate.request import Txt2Img
from tests.studio import Bench

JOB = Txt2Img(seed=1, subseed=1, width=128, height=64, steps=1, batch_size=2)
PLAIN: dict[str, Any] = {"divide": "Columns", "ratios": "1,1", "base": False, "common": False, "base_ratio": 0.2}


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    with bench.extended("regional_prompting"):
        yield


def asked(prompt: str, mode: str, *, ratios: str = "1,1", ratio: float = 0.2, **more: Any) -> Txt2Img:
    arguments = [True, "Columns", ratios, ratio, False, False, mode]
    return dataclasses.replace(JOB, prompt=prompt, extension_args={"regional prompting": arguments}, **more)


def pixels(bench: Bench, request: Txt2Img) -> np.ndarray:
    return np.stack([np.asarray(each.convert("RGB")).astype(int) for each in bench.images(request)[-2:]])


@pytest.mark.parametrize("divide", ["Columns", "Rows"])
@pytest.mark.parametrize("ratios", ["1", "1,1", "1,2,1", "1,2,1;2,1", "3,1;1,1,1,1;0.5,7,2"])
def test_every_place_is_in_one_region(divide: str, ratios: str) -> None:
    found = regions.layout(ratios, divide)
    for height, width in ((1, 1), (7, 5), (64, 96)):
        total = sum(regional.inside(each, height, width) for each in found)
        assert torch.equal(total, torch.ones(height, width))


def test_ratios_and_rows_of_columns() -> None:
    first, second = regions.layout("1,3", "Columns")
    assert (first.right, second.left, first.bottom) == (0.25, 0.25, 1)
    top, right, below = regions.layout("1,1,1;3,1", "Columns")
    assert (top.right, right.left, below.top, below.right) == (0.5, 0.5, 0.25, 1)
    found = regions.parted("a ADDCOL b ADDROW c", PLAIN)
    assert found is not None
    assert [(each.top, each.left) for each in found.regions] == [(0, 0), (0, 0.5), (0.5, 0)]


def test_keywords_part_the_prompt() -> None:
    found = regions.parted("all <lora:x:1> ADDCOMM red BREAK blue", PLAIN)
    assert found is not None
    assert (found.base, found.texts) == (None, ("all <lora:x:1>, red", "all, blue"))
    found = regions.parted("scene ADDBASE all ADDCOMM red BREAK blue", PLAIN)
    assert found == regions.parted("scene BREAK all BREAK red BREAK blue", {**PLAIN, "base": True, "common": True})
    assert found is not None
    assert (found.base, found.joined) == ("scene", "scene AND all, red AND all, blue")
    assert regions.parted("no regions here", PLAIN) is None


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("a BREAK b BREAK c", "make 2 regions, the prompt has 3 parts"), ("a AND b BREAK c", "AND"), ("a", "BREAK")],
)
def test_what_does_not_fit_is_said(bench: Bench, prompt: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        bench.make(asked(prompt, "Latent"))


@pytest.mark.parametrize("mode", ["Attention", "Latent"])
def test_the_same_prompt_everywhere_is_that_prompt(bench: Bench, mode: str) -> None:
    plain = pixels(bench, dataclasses.replace(JOB, prompt="a cat"))
    assert np.abs(pixels(bench, asked("a cat BREAK a cat", mode)) - plain).max() <= 1
    assert np.abs(pixels(bench, asked("a cat ADDBASE a cat BREAK a cat", mode)) - plain).max() <= 1


@pytest.mark.parametrize("mode", ["Attention", "Latent"])
def test_regions_differ_by_their_prompts_and_the_model_is_as_before(bench: Bench, mode: str) -> None:
    plain = dataclasses.replace(JOB, prompt="a cat")
    before = pixels(bench, plain)
    mixed = pixels(bench, asked("a cat BREAK (red:1.4) sky, 7 dogs", mode))
    other = pixels(bench, asked("(red:1.4) sky, 7 dogs BREAK a cat", mode))
    assert np.abs(mixed - before).max() > 0
    assert np.abs(mixed - other).max() > 0
    if mode == "Latent":
        assert np.abs(mixed - before)[:, :, :16].mean() < np.abs(mixed - before)[:, :, -16:].mean()
    assert np.array_equal(pixels(bench, plain), before)


def test_the_infotext_has_the_prompt_as_it_was_written_also_with_hires_fix(bench: Bench) -> None:
    request = asked("a cat BREAK a dog", "Attention", enable_hr=True, hr_scale=2, denoising_strength=0.5)
    text = bench.make(dataclasses.replace(request, batch_size=1))["pictures"][0]["infotext"]
    assert text.startswith("a cat BREAK a dog\n")
    assert "Regional prompting: True" in text
    assert "Hires prompt" not in text
