"""Laws of guidance: the formula, how often the model is asked, and what listeners may change."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from modules.generate.guidance import Conditioning, GuidancePolicy, GuidedDenoiser
from modules.generate.moments import Guided, ModelAnswered, ModelCalled, Moments

X = torch.zeros(2, 1, 2, 2)
SIGMA = torch.tensor(1.0)


class Model:
    """Predicts the mean of its conditioning. `calls` has the batch size of each."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        self.calls.append(len(x))
        return x + context.mean(dim=(1, 2)).reshape(-1, 1, 1, 1)


def conditioning(positive: int = 77, negative: int = 77) -> Conditioning:
    """The prompt says 3, the negative one 1, an empty one 0."""
    return Conditioning(
        positive=torch.full((2, positive, 4), 3.0),
        negative=torch.full((2, negative, 4), 1.0),
        empty=torch.zeros(1, 77, 4),
    )


def guided(
    model: Model, policy: GuidancePolicy, given: Conditioning | None = None, moments: Moments | None = None
) -> GuidedDenoiser:
    return GuidedDenoiser(model, given or conditioning(), policy, calls=10, moments=moments or Moments())


@pytest.mark.parametrize("scale", [1.0, 1.5, 7.0, 20.0])
@pytest.mark.parametrize("together", [True, False])
def test_guess_is_negative_plus_scale_times_difference(scale: float, together: bool) -> None:
    denoised = guided(Model(), GuidancePolicy(scale=scale, together=together))(X, SIGMA)
    assert torch.allclose(denoised, torch.full_like(X, 1 + scale * 2))


def test_one_forward_a_step() -> None:
    for scale, expected in ((7.0, [4]), (1.0, [2])):
        model = Model()
        guided(model, GuidancePolicy(scale=scale))(X, SIGMA)
        assert model.calls == expected
    model = Model()
    guided(model, GuidancePolicy(scale=7.0, together=False))(X, SIGMA)
    assert model.calls == [2, 2]


def test_prompts_of_unequal_length_take_two_forwards_or_are_padded() -> None:
    uneven = conditioning(positive=154)
    apart, padded = Model(), Model()
    plain = guided(apart, GuidancePolicy(scale=2.0), uneven)
    assert torch.allclose(plain(X, SIGMA), torch.full_like(X, 5.0))
    assert (apart.calls, plain.notes) == ([2, 2], {})
    filled = guided(padded, GuidancePolicy(scale=2.0, pad=True), uneven)
    assert torch.allclose(filled(X, SIGMA), torch.full_like(X, 0.5 + 2 * 2.5))  # half of the negative one is empty now
    assert (padded.calls, filled.notes) == ([4], {"Pad conds": True})


def test_the_negative_prompt_is_left_out_below_a_noise_level_every_second_call() -> None:
    model = Model()
    denoise = guided(model, GuidancePolicy(scale=2.0, min_uncond=2.0))
    for sigma in (5.0, 5.0, 1.0, 1.0, 1.0):
        denoise(X, torch.tensor(sigma))
    assert model.calls == [4, 4, 4, 2, 4]
    assert denoise.notes == {"NGMS": 2.0}


def test_the_negative_prompt_is_left_out_at_the_beginning() -> None:
    model = Model()
    denoise = guided(model, GuidancePolicy(scale=2.0, skip_early=0.2))
    for _ in range(5):
        denoise(X, SIGMA)
    assert model.calls == [2, 2, 2, 4, 4]
    assert denoise.notes == {"Skip Early CFG": 0.2}


def test_listeners_change_what_goes_in_and_what_comes_out() -> None:
    moments = Moments()

    def called(event: ModelCalled) -> None:
        event.conditioning = dataclasses.replace(event.conditioning, positive=event.conditioning.positive * 2)

    def answered(event: ModelAnswered) -> None:
        event.positive = event.positive + 1

    def finished(event: Guided) -> None:
        event.denoised = event.denoised * 10

    moments.model_called.add(called, owner="test")
    moments.model_answered.add(answered, owner="test")
    moments.guided.add(finished, owner="test")
    denoised = guided(Model(), GuidancePolicy(scale=1.0), moments=moments)(X, SIGMA)
    assert torch.allclose(denoised, torch.full_like(X, 70.0))
