"""Guidance at a high scale gets the spread of a lower one; with equal scales and nothing cut it changes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from extensions.dynamic_thresholding import extension, thresholding
from extensions.dynamic_thresholding.thresholding import Threshold, scheduled, thresholded
from modules.generate.request import Txt2Img
from tests.studio import Bench

JOB = Txt2Img(prompt="a cat", seed=1, subseed=1, width=64, height=64, steps=3, cfg_scale=20.0)


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    with bench.extended("dynamic_thresholding"):
        yield


def noise(seed: int) -> torch.Tensor:
    return torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


NEGATIVE, PULL = noise(1), noise(2)


@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("deviation", [True, False])
@pytest.mark.parametrize("zero", [True, False])
def test_equal_scales_change_nothing(separate: bool, deviation: bool, zero: bool) -> None:
    how = Threshold(separate=separate, deviation=deviation, zero=zero)
    assert torch.allclose(thresholded(NEGATIVE, PULL, 7, 7, how), NEGATIVE + PULL * 7, atol=1e-4)


def spread(latents: torch.Tensor, *, deviation: bool) -> torch.Tensor:
    centred = latents.flatten(2) - latents.flatten(2).mean(dim=2, keepdim=True)
    return centred.std(dim=2) if deviation else centred.abs().amax(dim=2)


@pytest.mark.parametrize("deviation", [True, False])
def test_the_spread_is_that_of_the_lower_scale(deviation: bool) -> None:
    found = thresholded(NEGATIVE, PULL, 30, 7, Threshold(deviation=deviation))
    assert torch.allclose(
        spread(found, deviation=deviation), spread(NEGATIVE + PULL * 7, deviation=deviation), rtol=1e-3
    )
    means, kept = (each.flatten(2).mean(dim=2) for each in (found, NEGATIVE + PULL * 30))
    assert torch.allclose(means, kept, atol=1e-3)


def test_a_percentile_cuts_what_lies_above_it() -> None:
    whole, cut = (thresholded(NEGATIVE, PULL, 30, 7, Threshold(percentile=each)) for each in (1.0, 0.9))
    ends = [(each.flatten(2) - each.flatten(2).mean(2, keepdim=True)).abs() for each in (whole, cut)]
    at_the_end = [(each > 0.999 * each.amax(2, keepdim=True)).sum(2) for each in ends]
    assert int(at_the_end[0].max()) <= 2
    assert int(at_the_end[1].min()) >= 3


def test_phi_mixes() -> None:
    plain, whole, half = (thresholded(NEGATIVE, PULL, 30, 7, Threshold(phi=each)) for each in (0.0, 1.0, 0.5))
    assert torch.allclose(plain, NEGATIVE + PULL * 30, atol=1e-4)
    assert torch.allclose(half, (plain + whole) / 2, atol=1e-3)


@pytest.mark.parametrize(
    ("mode", "begin", "end"),
    [
        ("Constant", 10, 10),
        ("Linear Down", 10, 2),
        ("Cosine Down", 10, 2),
        ("Linear Up", 2, 10),
        ("Cosine Up", 2, 10),
        ("Power Up", 2, 10),
        ("Power Down", 10, 2),
        ("Half Cosine Down", 10, 2 + 8 * np.cos(1)),
        ("Half Cosine Up", 2, 2 + 8 * (1 - np.cos(1))),
        ("Linear Repeating", 10, 10),
        ("Cosine Repeating", 10, 10),
        ("Sawtooth", 2, 2),
    ],
)
def test_scales_go_from_here_to_there(mode: str, begin: float, end: float) -> None:
    found = [scheduled(mode, share, 4, 2, 10) for share in (0, 1)]
    assert found == pytest.approx([begin, end])


def test_every_mode_that_is_offered_is_there() -> None:
    assert set(extension.MODES) == set(thresholding.MODES)


def test_it_changes_the_picture_and_is_told(bench: Bench) -> None:
    from PIL import Image

    def made(*values: object) -> tuple[np.ndarray, str]:
        given = {"dynamic thresholding": [True, *values]} if values else {}
        result = bench.make(dataclasses.replace(JOB, extension_args=given))
        return np.asarray(Image.open(result["pictures"][0]["path"])).astype(int), result["info"]["infotexts"][0]

    plain, _ = made()
    same, text = made(20)
    changed, _ = made(5, 0.95)
    assert np.abs(same - plain).max() <= 1
    assert np.abs(changed - plain).max() > 3
    assert "Dynamic thresholding enabled: True, Mimic scale: 20, Threshold percentile: 1" in text
