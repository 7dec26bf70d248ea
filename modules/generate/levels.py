"""Noise levels of a job: the model's trained ones as the options bend them, where sampling starts, how it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from modules.core import process
from modules.core.errors import BadRequest
from modules.core.process import NoiseProcess, TrainedLevels, VarianceExploding
from modules.generate.plan import Plan
from modules.samplers import catalog
from modules.samplers.catalog import Tail

EXPLODING = VarianceExploding()
CLOSE = 1e-4
"""Levels this close are the same."""


def trained(plan: Plan, levels: TrainedLevels) -> TrainedLevels:
    """The model's levels after `use_downcasted_alpha_bar` and `sd_noise_schedule`, by the sampler's clock."""
    levels = levels.sized(plan.width, plan.height, plan.steps[0])
    if plan.options["use_downcasted_alpha_bar"] and levels.bends:
        levels = process.downcast(levels)
    if plan.options["sd_noise_schedule"] == "Zero Terminal SNR" and levels.bends:
        levels = process.zero_terminal(levels)
    clock = plan.sampler.clock
    return levels if clock is None else catalog.resolve(clock)(levels)


def route(plan: Plan, levels: TrainedLevels) -> Tail:
    """Where sampling starts and the levels that the sampler goes through, falling: all of the schedule, or its end
    where a picture is given; level 0 alone where nothing is to be done.

    Raises BadRequest for a schedule that was made for stronger noise than the model knows.
    """
    bent = dataclasses.replace(plan.levels, family=plan.checkpoint.family or "")
    whole, done = plan.steps
    if not done:
        return Tail(torch.zeros(()), torch.zeros(1))
    if plan.strength is not None:
        return catalog.tail(
            plan.scheduler,
            whole,
            done,
            levels,
            bent,
            discard_penultimate=plan.discard_penultimate,
            sampler=plan.sampler,
        )
    start, every = catalog.whole(
        plan.scheduler, whole, levels, bent, discard_penultimate=plan.discard_penultimate, sampler=plan.sampler
    )
    if not levels.bends and float(every[0]) > levels.highest * (1 + CLOSE):
        raise BadRequest(
            f"This schedule starts at noise level {float(every[0]):.4g}; the model's highest is {levels.highest:.4g}. "
            "Choose another schedule, such as Simple, and leave sigma max at 0.",
            field="scheduler",
        )
    return Tail(start, every)


def scheduled(plan: Plan, levels: TrainedLevels) -> tuple[Tensor, Tensor]:
    """(lowest above 0, highest) of the whole schedule, of which a `route` may be a part: the span of Brownian paths."""
    every = catalog.sigmas(
        plan.scheduler,
        plan.steps[0],
        levels,
        dataclasses.replace(plan.levels, family=plan.checkpoint.family or ""),
        discard_penultimate=plan.discard_penultimate,
    )
    return every[every > 0].min(), every.max()


def noised(plan: Plan, latents: Tensor, noise: Tensor, route: Tail, process: NoiseProcess = EXPLODING) -> Tensor:
    """The latents of a picture (B, C, H, W) under noise, at the level where sampling starts."""
    noisy = process.alpha(route.start) * latents + noise * route.start
    if not (plan.sampler.scaled and process.widens):
        return noisy
    scale: Tensor = ((1 + route.sigmas[0] ** 2) / (1 + route.start**2)) ** 0.5
    return noisy * scale


def alone(plan: Plan, noise: Tensor, route: Tail, process: NoiseProcess = EXPLODING) -> Tensor:
    """Noise (B, C, H, W) from which sampling starts without a picture: at the route's start, or as if it lay over one
    (SGM's way, and that of samplers in scaled coordinates).
    """
    over = process.widens and (plan.sampler.scaled or plan.options["sgm_noise_multiplier"])
    return noise * ((1 + route.start**2) ** 0.5 if over else route.start)


def finished(plan: Plan, latents: Tensor, sigmas: Tensor, process: NoiseProcess = EXPLODING) -> Tensor:
    """Latents (B, C, H, W) out of the coordinates of sampling."""
    return latents / (1 + sigmas[-1] ** 2) ** 0.5 if plan.sampler.scaled and process.widens else latents


def measured(plan: Plan, levels: TrainedLevels) -> Callable[[Tensor], float]:
    """What the setting of the least noise for the negative prompt means by a noise level (): model time for samplers in
    scaled coordinates, which A1111 asks by time.
    """
    if not plan.sampler.scaled:
        return float
    return lambda sigma: round(float(levels.time_at(sigma)), 3)


def facts(plan: Plan, levels: TrainedLevels) -> Mapping[str, Any]:
    """What the sampler wants to know beside its parameters."""
    known = {"steps": plan.steps[1], "trained": levels}
    return {name: known[name] for name in plan.sampler.wants}
