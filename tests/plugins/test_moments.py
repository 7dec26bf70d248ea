"""An extension hears every moment: each has a test here, and a new one without a test fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.core.hooks import all_moments
from modules.generate import moments as events
from modules.generate.moments import Moments
from modules.generate.request import Img2Img, Txt2Img
from modules.plugins.api import ExtensionApi
from modules.plugins.extension import Extension
from tests.studio import Bench

TEXT, PICTURE = "txt2img with hires fix", "inpainting"
HEARD_IN: dict[str, tuple[str, int]] = {
    "planning": (TEXT, 1),
    "planned": (TEXT, 1),
    "batch_starting": (TEXT, 2),
    "networks_applied": (TEXT, 4),
    "batch_ready": (TEXT, 2),
    "sampling": (TEXT, 4),
    "extra_noise": (PICTURE, 1),
    "model_called": (PICTURE, 3),
    "network_called": (PICTURE, 3),
    "model_answered": (PICTURE, 3),
    "guided": (PICTURE, 3),
    "mask_blending": (PICTURE, 4),
    "sampled": (TEXT, 4),
    "enlarged": (TEXT, 2),
    "decoded": (TEXT, 2),
    "picture_ready": (TEXT, 2),
    "overlaying": (PICTURE, 1),
    "composited": (PICTURE, 1),
    "saving": (TEXT, 3),
    "saved": (TEXT, 3),
    "arranging": (TEXT, 1),
    "gathering": (TEXT, 1),
    "finished": (TEXT, 1),
}
"""Moment -> the job in which it is heard, and how often."""


class Ear:
    """Writes down every event of a job."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def listener(self, name: str) -> Any:
        return lambda event: self.heard.append((name, event))

    def of(self, name: str) -> list[Any]:
        return [event for heard, event in self.heard if heard == name]


@pytest.fixture(scope="module")
def ears(bench: Bench) -> Iterator[dict[str, Ear]]:
    api = ExtensionApi(Extension(name="ears", folder=Path("nowhere")), bench.house)
    made = {}
    common: dict[str, Any] = {"prompt": "a cat", "seed": 1, "subseed": 1, "width": 64, "height": 64}
    for job in (TEXT, PICTURE):
        ear = made[job] = Ear()
        for name, moment in all_moments(bench.moments).items():
            api.on(moment, ear.listener(name))
        if job == TEXT:
            hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.5}
            bench.make(Txt2Img(**common, **hires, n_iter=2, steps=2))
        else:
            picture = Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8))
            mask = Image.linear_gradient("L").resize((64, 64))
            add = bench.studio.inputs.add_image
            given = {"init_images": (add(picture),), "mask": add(mask), "inpainting_fill": 1, "inpaint_full_res": False}
            bench.make(Img2Img(**common, **given, steps=4, denoising_strength=0.6), img2img_extra_noise=0.1)
        api.withdraw()
    yield made
    assert not any(all_moments(bench.moments).values())


def test_every_moment_has_a_test() -> None:
    assert list(HEARD_IN) == list(all_moments(Moments()))


@pytest.mark.parametrize("name", all_moments(Moments()))
def test_it_is_heard_with_its_event(ears: dict[str, Ear], name: str) -> None:
    job, times = HEARD_IN[name]
    found = ears[job].of(name)
    kind = getattr(events, "".join(word.capitalize() for word in name.split("_")))
    assert [type(event) for event in found] == [kind] * times
    required = {field.name for field in dataclasses.fields(kind) if field.type in ("Tensor", "Plan", "Model")}
    assert all(getattr(event, field) is not None for event in found for field in required)


@pytest.mark.parametrize("job", [TEXT, PICTURE])
def test_they_come_in_the_order_in_which_they_are_written_down(ears: dict[str, Ear], job: str) -> None:
    first = list(dict.fromkeys(name for name, _ in ears[job].heard))
    # of inpainting: blending is inside a call
    late = {"saving", "saved", "gathering", "finished", "mask_blending", "extra_noise"}
    order = [name for name in first if name not in late]
    assert order == [name for name in all_moments(Moments()) if name in order]


def test_guidance_can_be_worked_out_anew_from_its_event(ears: dict[str, Ear]) -> None:
    for event in ears[PICTURE].of("guided"):
        again = event.negative + event.scale * (event.positive - event.negative)
        assert (again - event.denoised).abs().max() < 1e-4
        asked = event.ask(event.x, event.sigma, event.conditioning.positive)
        assert (asked - event.positive).abs().max() < 1e-3
