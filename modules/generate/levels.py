"""Noise levels of a job: the model's trained ones as the options bend them, where sampling starts, how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from modules.core import process
from modules.core.process import TrainedLevels
from modules.generate.plan import Plan
from modules.samplers import catalog


def trained(plan: Plan, levels: TrainedLevels) -> TrainedLevels:
    """The model's levels after `use_downcasted_alpha_bar` and `sd_noise_schedule`, by the sampler's clock."""
    if plan.options["use_downcasted_alpha_bar"]:
        levels = process.downcast(levels)
    if plan.options["sd_noise_schedule"] == "Zero Terminal SNR":
        levels = process.zero_terminal(levels)
    clock = plan.sampler.clock
    return levels if clock is None else catalog.resolve(clock)(levels)


def visited(plan: Plan, levels: TrainedLevels) -> Tensor:
    """The levels that the sampler goes through, falling."""
    return catalog.sigmas(
        plan.scheduler,
        plan.request.steps,
        levels,
        plan.levels,
        discard_penultimate=plan.discard_penultimate,
        sampler=plan.sampler,
    )


def starting(plan: Plan, sigmas: Tensor) -> Tensor:
    """How strong the first noise is: the first level, or as if it lay over a picture (SGM's way, and that of samplers
    in scaled coordinates).
    """
    over = plan.sampler.scaled or plan.options["sgm_noise_multiplier"]
    return (1 + sigmas[0] ** 2) ** 0.5 if over else sigmas[0]


def finished(plan: Plan, latents: Tensor, sigmas: Tensor) -> Tensor:
    """Latents (B, C, H, W) out of the coordinates of sampling."""
    return latents / (1 + sigmas[-1] ** 2) ** 0.5 if plan.sampler.scaled else latents


def facts(plan: Plan, levels: TrainedLevels) -> Mapping[str, Any]:
    """What the sampler wants to know beside its parameters."""
    known = {"steps": plan.request.steps, "trained": levels}
    return {name: known[name] for name in plan.sampler.wants}
