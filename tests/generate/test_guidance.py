"""Laws of guidance: the formula, how often the model is asked, and what listeners may change."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from modules.core.process import scaled_linear_levels
from modules.generate.guidance import Conditioning, GuidancePolicy, GuidedDenoiser, Program, Scheduled, combined
from modules.generate.levels import measured
from modules.generate.moments import Guided, ModelAnswered, ModelCalled, Moments
from modules.loading.prediction import Given
from modules.loading.text import Encoding

X = torch.zeros(2, 1, 2, 2)
SIGMA = torch.tensor(1.0)


class Model:
    """Predicts the mean of its conditioning. `calls` has the batch size of each."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        self.calls.append(len(x))
        return x + given.context.mean(dim=(1, 2)).reshape(-1, 1, 1, 1)


def said(value: float, tokens: int = 77) -> Encoding:
    """What a prompt of (tokens, 4) says."""
    return Encoding(torch.full((tokens, 4), value))


def always(value: float, tokens: int = 77) -> Scheduled:
    return Scheduled(((10, said(value, tokens)),))


def program(positive: int = 77, negative: int = 77) -> Program:
    """The prompt says 3, the negative one 1, an empty one 0."""
    return Program(
        prompts=(((always(3.0, positive), 1.0),),) * 2,
        negatives=(always(1.0, negative),) * 2,
        empty=torch.zeros(1, 77, 4),
    )


def guided(
    model: Model, policy: GuidancePolicy, given: Program | None = None, moments: Moments | None = None
) -> GuidedDenoiser:
    return GuidedDenoiser(model, given or program(), policy, calls=10, moments=moments or Moments())


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
    uneven = program(positive=154)
    apart, padded = Model(), Model()
    plain = guided(apart, GuidancePolicy(scale=2.0), uneven)
    assert torch.allclose(plain(X, SIGMA), torch.full_like(X, 5.0))
    assert (apart.calls, plain.notes) == ([2, 2], {})
    filled = guided(padded, GuidancePolicy(scale=2.0, pad="empty"), uneven)
    assert torch.allclose(filled(X, SIGMA), torch.full_like(X, 0.5 + 2 * 2.5))  # half of the negative one is empty now
    assert (padded.calls, filled.notes) == ([4], {"Pad conds": True})


def test_the_negative_prompt_is_left_out_below_a_noise_level_every_second_call() -> None:
    model = Model()
    denoise = guided(model, GuidancePolicy(scale=2.0, min_uncond=2.0))
    for sigma in (5.0, 5.0, 1.0, 1.0, 1.0):
        denoise(X, torch.tensor(sigma))
    assert model.calls == [4, 4, 4, 2, 4]
    assert denoise.notes == {"NGMS": 2.0}


def test_timestep_samplers_leave_the_negative_prompt_out_by_model_time() -> None:
    """A1111 hands DDIM and its kin times, and compares those with the setting."""
    trained, model = scaled_linear_levels(), Model()
    ddim = SimpleNamespace(sampler=SimpleNamespace(scaled=True))
    denoise = GuidedDenoiser(
        model,
        program(),
        GuidancePolicy(scale=2.0, min_uncond=2.0, min_uncond_all=True),
        calls=10,
        moments=Moments(),
        measure=measured(ddim, trained),
    )
    for time in (876, 126, 2, 1):
        denoise(X, trained.sigmas[time])
    assert model.calls == [4, 4, 4, 2]


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
        doubled = Given(context=event.conditioning.positive.context * 2)
        event.conditioning = dataclasses.replace(event.conditioning, positive=doubled)

    def answered(event: ModelAnswered) -> None:
        event.positive = event.positive + 1

    def finished(event: Guided) -> None:
        event.denoised = event.denoised * 10

    moments.model_called.add(called, owner="test")
    moments.model_answered.add(answered, owner="test")
    moments.guided.add(finished, owner="test")
    denoised = guided(Model(), GuidancePolicy(scale=1.0), moments=moments)(X, SIGMA)
    assert torch.allclose(denoised, torch.full_like(X, 70.0))


def test_v0_gives_the_negative_prompt_the_others_length() -> None:
    for positive, negative in ((154, 77), (77, 154)):
        model = Model()
        denoise = guided(model, GuidancePolicy(scale=2.0, pad="v0"), program(positive, negative))
        assert torch.allclose(denoise(X, SIGMA), torch.full_like(X, 5.0))
        assert (model.calls, denoise.notes) == ([4], {"Pad conds v0": True})


def test_a_prompt_changes_after_its_last_call() -> None:
    changing = Scheduled(((2, said(3.0)), (4, said(5.0))))
    given = dataclasses.replace(program(), prompts=(((changing, 1.0),),) * 2)
    denoise = guided(Model(), GuidancePolicy(scale=1.0), given)
    values = [float(denoise(X, SIGMA)[0, 0, 0, 0]) for _ in range(6)]
    assert values == [3, 3, 3, 5, 5, 3]  # calls count from 0; beyond the end A1111 begins anew


def test_negative_prompts_change_too_and_lengths_with_them() -> None:
    changing = Scheduled(((1, said(1.0)), (9, said(2.0, 154))))
    given = dataclasses.replace(program(), negatives=(changing,) * 2)
    model = Model()
    denoise = guided(model, GuidancePolicy(scale=2.0), given)
    assert [float(denoise(X, SIGMA)[0, 0, 0, 0]) for _ in range(3)] == [5, 5, 4]
    assert model.calls == [4, 4, 2, 2]


@pytest.mark.parametrize("scale", [1.0, 7.0])
@pytest.mark.parametrize("together", [True, False])
def test_weighted_prompts_pull_away_from_the_negative_one(scale: float, together: bool) -> None:
    """The first picture has three prompts, the second one, with a weight."""
    first = ((always(3.0), 1.5), (always(5.0), 0.5), (always(9.0), -0.25))
    given = dataclasses.replace(program(), prompts=(first, ((always(3.0), 2.0),)))
    model = Model()
    denoise = guided(model, GuidancePolicy(scale=scale, together=together), given)
    denoised = denoise(X, SIGMA)
    assert torch.allclose(denoised[0], torch.full_like(X[0], 1 + scale * (1.5 * 2 + 0.5 * 4 - 0.25 * 8)))
    assert torch.allclose(denoised[1], torch.full_like(X[1], 1 + scale * 2.0 * 2))
    assert model.calls == ([6] if together else [4, 2])
    assert denoise.positive is not None
    assert denoise.positive.shape == X.shape  # of each picture's first prompt


def test_without_the_negative_prompt_the_first_takes_its_place() -> None:
    both = Conditioning(
        positive=Given(context=torch.zeros(2, 77, 4)),
        negative=Given(context=torch.zeros(1, 77, 4)),
        empty=torch.zeros(1, 77, 4),
        owners=(0, 0),
        weights=(1.0, 0.5),
    )
    guesses = torch.tensor([3.0, 5.0]).reshape(2, 1, 1, 1)
    assert float(combined(guesses, None, both, 7.0)) == 3 + 0.5 * 2


def test_at_scale_1_weights_that_sum_to_1_need_no_negative_prompt() -> None:
    for weights, calls in (((0.25, 0.75), [4]), ((1.0, 0.5), [6])):
        picture = tuple((always(3.0), weight) for weight in weights)
        model = Model()
        guided(model, GuidancePolicy(scale=1.0), dataclasses.replace(program(), prompts=(picture,) * 2))(X, SIGMA)
        assert model.calls == calls


def test_conditioning_is_put_together_only_when_a_prompt_changes() -> None:
    seen: list[int] = []
    moments = Moments()
    moments.model_called.add(lambda event: seen.append(id(event.conditioning)), owner="test")
    changing = Scheduled(((2, said(3.0)), (4, said(5.0))))
    given = dataclasses.replace(program(), prompts=(((changing, 1.0),),) * 2)
    denoise = guided(Model(), GuidancePolicy(scale=1.0), given, moments)
    for _ in range(5):
        denoise(X, SIGMA)
    assert len(set(seen[:3])) == len(set(seen[3:])) == 1
    assert seen[2] != seen[3]
