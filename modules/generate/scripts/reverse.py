"""Euler's method backwards: from the latents of a picture to the noise that it would have come from. Needs torch.

The sums are those of A1111's "img2img alternative test"; the variant with sigma adjustment is briansemrau's.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from modules.core.errors import BadRequest
from modules.core.types import Denoiser
from modules.generate import levels, program
from modules.generate.moments import Sampling
from modules.loading.prediction import Given, Predict
from modules.samplers import schedules


def begin(event: Sampling, given: Mapping[str, Any]) -> None:
    """Let sampling begin from the noise that is found for its picture; given: the script's arguments."""
    if event.latents is None:
        raise BadRequest("init_images: there is no picture to find the noise of.", field="init_images")
    trained = levels.trained(event.plan, event.model.levels)
    denoise = _guided(event, event.model.predict(trained), given)
    rising = schedules.uniform(given["steps"], trained).flip(0)
    find = adjusted if given["adjusted"] else plain
    found = find(denoise, event.latents, rising)
    share = given["randomness"]
    mixed = ((1 - share) * found + share * event.noise) / (share**2 + (1 - share) ** 2) ** 0.5
    first = schedules.uniform(event.plan.request.steps, trained)[0]
    event.x = event.latents + (mixed - event.latents / first) * event.sigmas[0]


def plain(denoise: Denoiser, x: Tensor, rising: Tensor) -> Tensor:
    """x (B, C, H, W) at level 0, rising levels (steps + 1,) from 0 -> noise of deviation 1, (B, C, H, W)."""
    for low, high in itertools.pairwise(rising):
        x = x + (x - denoise(x, high)) / high * (high - low)
    return x / x.std()


def adjusted(denoise: Denoiser, x: Tensor, rising: Tensor) -> Tensor:
    """The same with the slope at the level where a step begins; the first step, from level 0, has none."""
    for low, high in itertools.pairwise(rising[1:]):
        x = x + (x - denoise(x, low)) / low * (high - low)
    return x / rising[-1]


def _guided(event: Sampling, predict: Predict, given: Mapping[str, Any]) -> Denoiser:
    """A denoiser that is told the original prompts, with the decode CFG scale; no editing, no AND."""
    model, work, count = event.model, event.plan, len(event.x)
    model.residency.use("text")
    texts = [given["prompt"], given["negative_prompt"]]
    ids = program.told(model.family, work)
    read = [program.encoded(model.text, [""] * count, [text] * count, work.text, work.timeline, ids) for text in texts]
    shown = [dataclasses.replace(each, concat=event.program.concat).at(0).negative for each in read]
    positive, negative = shown
    model.residency.use("denoiser")

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return _combined(predict, x, sigma, positive, negative, given["scale"])

    return denoise


def _combined(predict: Predict, x: Tensor, sigma: Tensor, positive: Given, negative: Given, scale: float) -> Tensor:
    alone = predict(x, sigma, positive)
    if scale == 1:
        return alone
    other = predict(x, sigma, negative)
    return other + (alone - other) * scale
