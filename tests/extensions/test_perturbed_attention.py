"""Perturbed attention guidance pulls away from what the model says without self-attention in its middle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from extensions.perturbed_attention import guidance
from modules.core.errors import BadRequest
from modules.generate.moments import Guided, Sampling
from modules.generate.request import Txt2Img
from tests.studio import Bench

JOB = Txt2Img(prompt="a cat", seed=1, subseed=1, width=192, height=192, steps=2)


@pytest.fixture(scope="module", autouse=True)
def loaded(bench: Bench) -> Iterator[None]:
    with bench.extended("perturbed_attention"):
        yield


def asked(*values: object) -> Txt2Img:
    return dataclasses.replace(JOB, extension_args={"perturbed attention guidance": [True, *values]})


def pixels(bench: Bench, request: Txt2Img) -> np.ndarray:
    return np.asarray(bench.images(request)[0].convert("RGB")).astype(int)


def heard(bench: Bench, moment: Any) -> Any:
    events: list[Any] = []
    remove = moment.add(events.append, owner="test")
    bench.make(JOB)
    remove()
    return events[0]


def test_in_the_middle_every_place_gets_its_own_value_and_afterwards_all_is_as_before(bench: Bench) -> None:
    sampling: Sampling = heard(bench, bench.moments.sampling)
    attentions = guidance.middle(sampling.model.unet)
    assert attentions
    before = [each.processor for each in attentions]
    states = torch.randn(1, 5, attentions[0].to_v.in_features, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode(), guidance.without_attention(sampling.model.unet):
        found = attentions[0](states)
        shuffled = attentions[0](states.flip(1)).flip(1)
    assert torch.allclose(found, shuffled, atol=1e-5)
    assert [each.processor for each in attentions] == before


def test_the_pull_is_scale_times_the_difference(bench: Bench) -> None:
    sampling: Sampling = heard(bench, bench.moments.sampling)
    event: Guided = heard(bench, bench.moments.guided)
    found = []
    for scale in (0.0, 1.0, 3.0):
        work = guidance.PerturbedAttention({"scale": scale, "start": 0, "end": 1}, None, None)
        work.sampling(sampling)
        mine = dataclasses.replace(event)
        with torch.inference_mode():
            work.guided(mine)
        found.append(mine.denoised)
    assert torch.equal(found[0], event.denoised)
    assert (found[1] - found[0]).abs().max() > 1e-4
    assert torch.allclose(found[2] - found[0], 3 * (found[1] - found[0]), atol=1e-4)


def test_the_picture_changes_and_the_model_is_as_before(bench: Bench) -> None:
    before = pixels(bench, JOB)
    assert np.abs(pixels(bench, asked(30.0)) - before).max() > 3
    assert np.array_equal(pixels(bench, JOB), before)
    assert np.array_equal(pixels(bench, asked(0)), before)
    assert np.array_equal(pixels(bench, asked(5.0, 1, 0)), before)


def test_it_is_told(bench: Bench) -> None:
    text = bench.make(asked(2.5, 0, 0.5))["info"]["infotexts"][0]
    assert "PAG Active: True, PAG Scale: 2.5, PAG Start: 0, PAG End: 0.5" in text


def test_a_model_without_a_middle_block_is_refused(bench: Bench) -> None:
    sampling: Sampling = heard(bench, bench.moments.sampling)
    other = dataclasses.replace(sampling, model=dataclasses.replace(sampling.model, unet=torch.nn.Linear(1, 1)))
    with pytest.raises(BadRequest, match="UNets"):
        guidance.PerturbedAttention({"scale": 3, "start": 0, "end": 1}, None, None).sampling(other)
