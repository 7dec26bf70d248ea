"""Editing with a scale for the picture: eq. 3 of InstructPix2Pix, term by term."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from modules.generate.edited import Edited, steered
from modules.generate.guidance import GuidancePolicy, GuidedDenoiser, Program, Scheduled
from modules.generate.moments import Moments
from modules.loading.prediction import Given
from modules.loading.text import Encoding

X, SIGMA = torch.randn(1, 4, 2, 2), torch.tensor(1.5)
PICTURE = torch.full((1, 4, 2, 2), 2.0)


def predict(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
    """Something that hangs on the prompt and on the picture, and not linearly."""
    assert given.concat is not None
    return x * 0.1 + given.context.mean((1, 2)).reshape(-1, 1, 1, 1) * (1 + given.concat) + given.concat**2


def program(positive: float, negative: float) -> Program:
    def said(value: float) -> Scheduled:
        return Scheduled(((9, Encoding(torch.full((77, 8), value), None)),))

    return Program(
        prompts=(((said(positive), 1.0),),),
        negatives=(said(negative),),
        empty=torch.zeros(1, 77, 8),
        concat=PICTURE,
    )


def answer(said: float, picture: Tensor) -> Tensor:
    return predict(X, SIGMA, Given(context=torch.full((1, 77, 8), said), concat=picture))


@pytest.mark.parametrize(("scale", "image_scale"), [(7.0, 1.5), (1.0, 2.0), (3.0, 0.0)])
def test_the_three_answers_are_weighed_as_in_the_paper(scale: float, image_scale: float) -> None:
    told = program(0.7, 0.2)
    guided = GuidedDenoiser(predict, told, GuidancePolicy(scale=scale, both=True), calls=1, moments=Moments())
    denoised = Edited(guided, predict, told, image_scale)(X, SIGMA)
    both, picture, neither = answer(0.7, PICTURE), answer(0.2, PICTURE), answer(0.2, torch.zeros_like(PICTURE))
    expected = neither + scale * (both - picture) + image_scale * (picture - neither)
    assert torch.allclose(denoised, expected, atol=1e-5)


@pytest.mark.parametrize("scale", [None, 1, 1.0])
def test_a_scale_that_makes_no_difference_costs_nothing(scale: float | None) -> None:
    told = program(0.7, 0.2)
    guided = GuidedDenoiser(predict, told, GuidancePolicy(scale=4.0), calls=1, moments=Moments())
    assert steered(guided, predict, told, scale) is guided


def test_a_program_without_a_picture_is_left_alone() -> None:
    told = dataclasses.replace(program(0.7, 0.2), concat=None)

    def plain(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        return x * given.context.mean()

    guided = GuidedDenoiser(plain, told, GuidancePolicy(scale=4.0), calls=1, moments=Moments())
    again = GuidedDenoiser(plain, told, GuidancePolicy(scale=4.0), calls=1, moments=Moments())
    assert torch.equal(Edited(guided, plain, told, 2.0)(X, SIGMA), again(X, SIGMA))
