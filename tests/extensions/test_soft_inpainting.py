"""Soft inpainting mixes by shades of grey: black keeps, white changes, and no contrast is lost in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from extensions.soft_inpainting import soft
from extensions.soft_inpainting.soft import Soft
from modules.core.errors import BadRequest
from modules.generate.request import Img2Img
from tests.studio import MENUS, Bench

OLD, NEW = (torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    with bench.extended("soft_inpainting"):
        yield


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


def softly(request: Img2Img, *numbers: float) -> Img2Img:
    return dataclasses.replace(request, extension_args={"soft inpainting": [True, *numbers]})


@pytest.mark.parametrize("whole", [True, False])
def test_where_the_mask_is_black_the_picture_stays(bench: Bench, whole: bool) -> None:
    request = softly(dataclasses.replace(inpainting(bench), inpaint_full_res=not whole))
    found = np.asarray(bench.images(request)[0].convert("RGB")).astype(int)
    given = np.asarray(bench.studio.inputs.open(request.init_images[0], field="").convert("RGB"))
    assert np.abs(found[:, :32] - given[:, :32]).max() <= 2
    assert np.abs(found[:, 112:] - given[:, 112:]).max() > 10


def test_without_a_mask_it_does_nothing(bench: Bench) -> None:
    plain = dataclasses.replace(inpainting(bench), mask=None)
    first, second = (bench.make(each) for each in (plain, softly(plain)))
    assert first["info"]["infotexts"] == second["info"]["infotexts"]
    assert soft.begin({}, bench.studio, plain) is None


def test_the_infotext_tells_all_numbers_under_a1111s_names(bench: Bench) -> None:
    text = bench.make(softly(inpainting(bench), 1, 0.75))["info"]["infotexts"][0]
    assert (
        "Soft inpainting enabled: True, Soft inpainting schedule bias: 1, "
        "Soft inpainting preservation strength: 0.75, Soft inpainting transition contrast boost: 4, "
        "Soft inpainting mask influence: 0, Soft inpainting difference threshold: 0.5, "
        "Soft inpainting difference contrast: 2" in text
    )


def test_arguments_that_cannot_work_are_refused_when_they_come(bench: Bench) -> None:
    table = bench.scripts
    assert table.check_always_on({"Soft Inpainting": {"args": [False, 2]}}, "img2img", MENUS)
    for wrong in ([True, "much"], [True, -1], [True, 1, 0.5, 0], ["perhaps"]):
        with pytest.raises(BadRequest, match=r"Soft inpainting|bias|boost"):
            table.check_always_on({"soft inpainting": {"args": wrong}}, "img2img", MENUS)
    assert table.asked(MENUS, "img2img", {"soft inpainting": [False, 2]}) == []
    values = table.asked(MENUS, "img2img", {"soft inpainting": [True, 2, 0.3]})[0].values
    assert list(values.values()) == [True, 2, 0.3, 4, 0, 0.5, 2]
