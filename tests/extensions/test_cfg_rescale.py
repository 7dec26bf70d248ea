"""Rescaled guidance has the spread of the answer to the prompt; velocity and clean latent say the same thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from extensions.cfg_rescale import rescale
from modules.generate.request import Txt2Img
from tests.studio import Bench

JOB = Txt2Img(prompt="a cat", seed=1, subseed=1, width=64, height=64, steps=3, cfg_scale=9.0)


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    with bench.extended("cfg_rescale"):
        yield


def noise(seed: int) -> torch.Tensor:
    return torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("flow", [True, False])
@pytest.mark.parametrize("sigma", [0.05, 0.6, 14.6])
def test_velocity_and_back(sigma: float, flow: bool) -> None:
    x, clean, level = noise(1), noise(2), torch.tensor(sigma)
    there = rescale.velocity(x, clean, level, flow=flow)
    assert torch.allclose(rescale.denoised(x, there, level, flow=flow), clean, atol=1e-4)


def test_velocity_of_a_clean_latent_and_its_noise() -> None:
    """v = alpha * noise - sigma' * clean in scaled coordinates (Salimans and Ho 2022, appendix D)."""
    clean, drawn, sigma = noise(1), noise(2), torch.tensor(1.7)
    alpha = 1 / (sigma**2 + 1) ** 0.5
    expected = alpha * drawn - alpha * sigma * clean
    assert torch.allclose(rescale.velocity(clean + drawn * sigma, clean, sigma, flow=False), expected, atol=1e-5)


def test_the_spread_is_that_of_the_prompts_answer() -> None:
    positive, guided = noise(1), noise(2) * 5
    spread = rescale.rescaled(guided, positive, 1.0).std(dim=(1, 2, 3))
    assert torch.allclose(spread, positive.std(dim=(1, 2, 3)), rtol=1e-4)
    assert torch.equal(rescale.rescaled(guided, positive, 0.0), guided)
    half = rescale.rescaled(guided, positive, 0.5)
    assert torch.allclose(half, (rescale.rescaled(guided, positive, 1.0) + guided) / 2, atol=1e-5)


def test_it_changes_the_picture_and_is_told(bench: Bench) -> None:
    def made(phi: float | None, **changes: float) -> tuple[np.ndarray, str]:
        given = {} if phi is None else {"cfg rescale": [phi]}
        result = bench.make(dataclasses.replace(JOB, extension_args=given, **changes))
        from PIL import Image

        return np.asarray(Image.open(result["pictures"][0]["path"])).astype(int), result["info"]["infotexts"][0]

    plain, text = made(None)
    assert "CFG Rescale" not in text
    assert np.array_equal(made(0)[0], plain)
    changed, text = made(0.7)
    assert np.abs(changed - plain).max() > 3
    assert "CFG Rescale phi: 0.7" in text
    assert np.array_equal(made(0.7, cfg_scale=1.0)[0], made(None, cfg_scale=1.0)[0])
