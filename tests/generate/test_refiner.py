"""Laws of the refiner: when it takes over, what it changes, what is told of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from modules.core.errors import BadRequest, NotFound
from modules.core.process import distilled, scaled_linear_levels
from modules.generate import refiner
from modules.generate.guidance import GuidancePolicy, GuidedDenoiser
from modules.generate.moments import Moments
from modules.generate.refiner import BOTH, FIRST, SECOND, Refiner
from modules.generate.request import Txt2Img
from modules.loading.library import Checkpoint
from modules.loading.prediction import Given
from tests.generate.test_guidance import SIGMA, Model, X, always, program
from tests.studio import OTHERS, Bench

LEVELS = scaled_linear_levels()
BASE = Checkpoint(path=Path("base.safetensors"), name="base.safetensors", family="sdxl")
OTHER = Checkpoint(path=Path("other.safetensors"), name="other.safetensors", family="sdxl-refiner", sha256="ab" * 32)


def made(**changes: Any) -> Refiner:
    plain = Refiner(checkpoint=OTHER, vae=None, switch_at=0.8, passes=None)
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize("time", [0, 199, 500, 999])
def test_what_is_done_is_read_off_the_nearest_trained_level(time: int) -> None:
    assert refiner.done(LEVELS.sigmas[time] * 1.0001, LEVELS) == (999 - time) / 1000


def test_with_the_levels_of_a_consistency_model_all_seems_done() -> None:
    levels = distilled(LEVELS)
    assert all(refiner.done(sigma, levels) > 0.9 for sigma in levels.sigmas)


@pytest.mark.parametrize(
    ("passes", "first", "second"), [(None, True, True), (BOTH, True, True), (FIRST, True, False), (SECOND, False, True)]
)
def test_the_pass_of_hires_fix_decides(passes: str | None, first: bool, second: bool) -> None:
    asked = made(passes=passes)
    assert asked.serves(BASE, second=False) is first
    assert asked.serves(BASE, second=True) is second


def test_a_model_does_not_refine_itself() -> None:
    assert not made().serves(OTHER, second=False)


def test_the_infotext_names_the_file_with_its_hash() -> None:
    assert made().facts(OTHER) == {"Refiner": "other [ababababab]", "Refiner switch at": 0.8}
    assert list(made(passes=BOTH).facts(OTHER)) == ["Hires refiner", "Refiner", "Refiner switch at"]
    assert "Hires refiner" not in made(passes=SECOND).facts(OTHER)


def test_handing_over_keeps_counting_calls_and_asks_the_other_model() -> None:
    """A prompt that changes at the third call changes there, whoever is asked."""
    first, second = Model(), Model()
    guided = GuidedDenoiser(first, program(), GuidancePolicy(scale=1.0), calls=10, moments=Moments())
    guided(X, SIGMA)
    guided(X, SIGMA)
    other = dataclasses.replace(program(), prompts=(((always(5.0), 1.0),),) * 2)
    guided.hand_over(second, other)
    assert torch.allclose(guided(X, SIGMA), torch.full_like(X, 5.0))
    assert (len(first.calls), len(second.calls), guided.calls) == (2, 1, 3)


def test_padding_is_told_last() -> None:
    policy = GuidancePolicy(scale=7.0, pad="empty", min_uncond=10.0, min_uncond_all=True)

    def predict(x: Tensor, sigma: Tensor, given: Given) -> Tensor:
        return x

    guided = GuidedDenoiser(predict, program(positive=154), policy, calls=10, moments=Moments())
    guided(X, SIGMA)
    assert list(guided.facts) == ["NGMS", "NGMS all steps", "Pad conds"]


reference = pytest.mark.skipif(not OTHERS, reason="the checkpoints of the other families are absent")
SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 4, "width": 64, "height": 64, "seed": 5}


def asking(name: str | None, at: float | None = 0.5, **fields: Any) -> Txt2Img:
    return Txt2Img(**{**SMALL, **fields}, refiner_checkpoint=name, refiner_switch_at=at)


@reference
@pytest.mark.parametrize("name", [None, "", "None", "none"])
def test_no_refiner_is_none(bench: Bench, name: str | None) -> None:
    library = bench.library
    assert refiner.asked(asking(name), bench.options({}), library.find("tiny-sdxl"), library) is None


@reference
def test_an_unknown_one_and_one_of_another_space_are_refused_by_name(bench: Bench) -> None:
    library, options = bench.library, bench.options({})
    with pytest.raises(NotFound, match="nothing-like-it") as caught:
        refiner.asked(asking("nothing-like-it"), options, library.find("tiny-sdxl"), library)
    assert caught.value.field == "refiner_checkpoint"
    flow = Checkpoint(path=Path("f.safetensors"), name="f.safetensors", family="sd3")
    with pytest.raises(BadRequest, match="not of one kind"):
        refiner.asked(asking("tiny-sdxl"), options, flow, library)


@reference
def test_the_picture_begins_with_the_base_and_every_batch_does(bench: Bench) -> None:
    """Two batches of one are two pictures made alone; a switch at 1 never comes."""
    base = {"sd_model_checkpoint": "tiny-sdxl"}
    both = bench.images(asking("tiny-sdxl-refiner", n_iter=2), **base, return_grid=False)
    alone = [bench.images(asking("tiny-sdxl-refiner", seed=seed), **base)[0] for seed in (5, 6)]
    assert [each.tobytes() for each in both] == [each.tobytes() for each in alone]
    never = bench.make(asking("tiny-sdxl-refiner", at=1.0), **base)
    assert "Refiner" not in never["info"]["infotexts"][0]


@reference
def test_counting_by_calls_is_told_and_moves_the_switch(bench: Bench) -> None:
    base = {"sd_model_checkpoint": "tiny-sdxl"}
    asked = asking("tiny-sdxl-refiner", at=0.3, sampler_name="DPM++ 2M", scheduler="Karras")
    by_level, by_calls = (
        bench.make(asked, **base, refiner_switch_by_sample_steps=counted) for counted in (False, True)
    )
    told = by_calls["info"]["infotexts"][0]
    assert "Refiner switch by sampling steps: True, Refiner: tiny-sdxl-refiner" in told
    assert by_level["info"]["extra_generation_params"]["Refiner switch at"] == 0.3
    pictures = [Image.open(each["pictures"][0]["path"]).tobytes() for each in (by_level, by_calls)]
    assert pictures[0] != pictures[1]


@reference
@pytest.mark.parametrize(("passes", "told"), [(BOTH, True), (FIRST, True), (SECOND, False)])
def test_in_hires_fix_the_option_says_which_pass_is_refined(bench: Bench, passes: str, told: bool) -> None:
    base = {"sd_model_checkpoint": "tiny-sdxl", "hires_fix_refiner_pass": passes}
    hires = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.7, "hr_upscaler": "Latent"}
    text = bench.make(asking("tiny-sdxl-refiner", at=0.6, **hires), **base)["info"]["infotexts"][0]
    assert (f"Hires refiner: {passes}, " in text) is told
    assert "Refiner: tiny-sdxl-refiner [ff6f9ada50], Refiner switch at: 0.6" in text


@reference
@pytest.mark.parametrize("sampler", ["UniPC", "LCM", "DDIM", "DPM++ SDE", "Heun"])
def test_every_kind_of_sampler_hands_over_to_a_velocity_model(bench: Bench, sampler: str) -> None:
    base = {"sd_model_checkpoint": "tiny-sd1"}
    alone, handed = (bench.make(asking(name, sampler_name=sampler, steps=6), **base) for name in (None, "tiny-sd2-v"))
    assert "Refiner: tiny-sd2-v [7c108a3940], Refiner switch at: 0.5" in handed["info"]["infotexts"][0]
    pictures = [Image.open(each["pictures"][0]["path"]).tobytes() for each in (alone, handed)]
    assert pictures[0] != pictures[1]
