"""Soft inpainting mixes by shades of grey: black keeps, white changes, and no contrast is lost in between."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from modules.core.errors import BadRequest
from modules.generate import soft
from modules.generate.request import Img2Img
from modules.generate.scripts.always_on import soft_inpainting
from modules.generate.soft import Soft
from tests.studio import Bench

OLD, NEW = (torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))


def length(latents: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(latents, dim=1)


def test_the_ends_of_a_mixture_are_what_is_mixed() -> None:
    for share, expected in ((0.0, OLD), (1.0, NEW)):
        found = soft.blended(OLD, NEW, torch.full((1, 1, 8, 8), share), boost=4)
        assert torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("boost", [1.0, 2.0, 8.0])
def test_a_mixture_is_as_long_as_the_power_mean_of_both(boost: float) -> None:
    found = soft.blended(OLD, NEW, torch.full((1, 1, 8, 8), 0.25), boost=boost)
    mean = (0.75 * length(OLD) ** boost + 0.25 * length(NEW) ** boost) ** (1 / boost)
    assert torch.allclose(length(found), mean, rtol=1e-3)


def test_what_did_not_change_stays_old_and_what_did_becomes_new() -> None:
    distance = np.zeros((16, 16), dtype=np.float32)
    distance[:, 8:] = 50
    found = soft.changes(distance, np.ones((16, 16), dtype=np.float32), Soft())
    assert found[:, :5].max() < 0.01
    assert found[:, 11:].min() > 0.99


def test_a_mask_that_is_followed_closely_keeps_what_it_covers() -> None:
    distance = np.full((16, 16), 1.0, dtype=np.float32)
    mask = np.zeros((16, 16), dtype=np.float32)
    mask[:, 8:] = 1
    found = soft.changes(distance, mask, Soft(influence=1))
    assert found[:, :4].max() < found[:, 12:].min()


def inpainting(bench: Bench) -> Img2Img:
    y, x = np.mgrid[:64, :128]
    picture = Image.fromarray(np.stack([x, y * 3, x + y], axis=-1).astype(np.uint8))
    shades = Image.fromarray(np.clip((x - 80) * 8, 0, 255).astype(np.uint8))
    inputs = bench.studio.inputs
    names = {"init_images": (inputs.add_image(picture),), "mask": inputs.add_image(shades)}
    usual = {"seed": 1, "subseed": 1, "steps": 4, "width": 128, "height": 64, "inpainting_fill": 1}
    return Img2Img(prompt="a cat", inpaint_full_res=False, **usual, **names)


@pytest.mark.parametrize("whole", [True, False])
def test_where_the_mask_is_black_the_picture_stays(bench: Bench, whole: bool) -> None:
    request = dataclasses.replace(inpainting(bench), soft_inpainting=(1, 0.5, 4, 0, 0.5, 2), inpaint_full_res=not whole)
    found = np.asarray(bench.images(request)[0].convert("RGB")).astype(int)
    given = np.asarray(bench.studio.inputs.open(request.init_images[0], field="").convert("RGB"))
    assert np.abs(found[:, :32] - given[:, :32]).max() <= 2
    assert np.abs(found[:, 112:] - given[:, 112:]).max() > 10


def test_without_a_mask_it_does_nothing(bench: Bench) -> None:
    plain = dataclasses.replace(inpainting(bench), mask=None)
    asked = dataclasses.replace(plain, soft_inpainting=(1, 0.5, 4, 0, 0.5, 2))
    first, second = (bench.make(each) for each in (plain, asked))
    assert first["info"]["infotexts"] == second["info"]["infotexts"]
    assert soft.listening(bench.studio, asked) is bench.studio


def test_the_arguments_come_from_always_on_scripts() -> None:
    assert soft_inpainting({}) == ()
    assert soft_inpainting({"Soft Inpainting": {"args": [False, 2]}}) == ()
    assert soft_inpainting({"soft inpainting": {"args": [True]}}) == (1, 0.5, 4, 0, 0.5, 2)
    assert soft_inpainting({"soft inpainting": {"args": [True, 2, 0.3]}}) == (2, 0.3, 4, 0, 0.5, 2)
    for wrong in ([True, "much"], [True, -1], [True, 1, 0.5, 0], ["perhaps"]):
        with pytest.raises(BadRequest):
            soft_inpainting({"soft inpainting": {"args": wrong}})
