"""Inpainting while sampling: where the mask is 0, the picture is what comes out, whatever the model thinks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modules.core.process import VarianceExploding
from modules.generate.masked import After, Before, Kept
from modules.generate.moments import MaskBlending, Moments
from modules.samplers.ddim import ddim

PICTURE = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1))
MASK = torch.zeros(1, 1, 3, 5)
MASK[..., 1:] = 1


class Model:
    """A `GuidedDenoise` that sees the same everywhere, and keeps what it was asked."""

    positive: Tensor | None = None
    negative: Tensor | None = None

    def __init__(self) -> None:
        self.asked: list[Tensor] = []

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.asked.append(x)
        self.positive = self.negative = torch.full_like(x, 0.25)
        return self.positive


def kept(moments: Moments | None = None) -> Kept:
    return Kept(picture=PICTURE, mask=MASK, moments=moments or Moments())


def test_after_a_guess_the_picture_is_back() -> None:
    guess = After(Model(), kept())(torch.randn(2, 4, 3, 5), torch.tensor(2.0))
    assert torch.equal(guess[..., :1], PICTURE[..., :1])
    assert torch.equal(guess[..., 1:], torch.full((2, 4, 3, 4), 0.25))


def test_before_a_guess_the_model_is_shown_the_picture() -> None:
    model, sigma, x = Model(), torch.tensor(2.0), torch.randn(2, 4, 3, 5)
    Before(model, kept())(x, sigma)
    assert torch.allclose(model.asked[0][..., :1], PICTURE[..., :1] * 5**0.5)
    assert torch.allclose(model.asked[0][..., 1:], x[..., 1:])


def test_before_a_guess_the_noise_that_is_seen_is_that_of_the_latents_asked_about() -> None:
    """(x - guess) / sigma is the model's noise in what it was asked, for the guided guess and for both others."""
    model, sigma, x = Model(), torch.tensor(3.0), torch.randn(2, 4, 3, 5)
    denoise = Before(model, kept())
    guess = denoise(x, sigma)
    seen = (model.asked[0] - 0.25) / sigma
    for each in (guess, denoise.positive, denoise.negative):
        assert each is not None
        assert torch.allclose((x - each) / sigma, seen, atol=1e-6)


@pytest.mark.parametrize("mask", [torch.zeros(1, 1, 3, 5), torch.ones(1, 1, 3, 5)], ids=["black", "white"])
@pytest.mark.parametrize("way", [After, Before])
def test_a_plain_mask_keeps_everything_or_nothing(way: type[After | Before], mask: Tensor) -> None:
    sigmas = torch.tensor([5.0, 2.0, 0.5, 0.0])
    whole = Kept(picture=PICTURE, mask=mask, moments=Moments())
    x = ddim(
        way(Model(), whole),
        torch.randn(2, 4, 3, 5),
        sigmas,
        process=VarianceExploding(),
        noise=lambda: torch.zeros(2, 4, 3, 5),
        on_step=lambda *_: None,
    )
    expected = PICTURE if not mask.any() else torch.full_like(PICTURE, 0.25)
    assert torch.allclose(whole.put_back(x, None), expected, atol=1e-5)


def test_a_listener_blends_in_its_own_way() -> None:
    moments, events = Moments(), []

    def listen(event: MaskBlending) -> None:
        events.append(event.sigma)
        event.blended = event.current

    moments.mask_blending.add(listen, owner="test")
    current = torch.zeros(2, 4, 3, 5)
    assert torch.equal(kept(moments).put_back(current, torch.tensor(1.0)), current)
    assert torch.equal(kept(moments).put_back(current, None), current)
    assert [sigma is None for sigma in events] == [False, True]
