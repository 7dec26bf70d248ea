"""One pass of sampling a batch: from noise, or from the latents of a picture that is noised part of the way.

Text to image is one pass, image to image is one with a `Beginning`, hires fix a second one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from modules.core.errors import Interrupted
from modules.core.noise import PictureNoise
from modules.core.process import TrainedLevels
from modules.core.types import GuidedDenoise, PathNoise, StepNoise
from modules.generate import edited, handoff, levels, moments, plan, previews
from modules.generate.guidance import GuidedDenoiser, Program
from modules.generate.masked import After, Before, Kept
from modules.generate.plan import Plan
from modules.generate.studio import Control, Studio
from modules.loading.loader import Model
from modules.samplers.catalog import Tail


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beginning:
    """Where a pass begins. latents (B, C, H, W): of the picture it starts from (`Plan.strength` says how much of it may
    go), None = from noise alone; mask (1, 1, H, W): 1 = may change, None = everything may; concat (B, C', H, W): what
    an inpainting model is shown beside the noise; done: steps of this batch that an earlier pass did.
    """

    latents: Tensor | None = None
    mask: Tensor | None = None
    concat: Tensor | None = None
    done: int = 0

    def part(self, batch: range) -> Beginning:
        """For those pictures of it alone, counted from its first."""

        def rows(whole: Tensor | None) -> Tensor | None:
            return whole if whole is None or len(whole) == 1 else whole[batch.start : batch.stop]

        return dataclasses.replace(self, latents=rows(self.latents), concat=rows(self.concat))


NOWHERE = Beginning()
"""From noise alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Latents (B, C, H, W) of a batch, what the infotext should say of them, whether sampling came to its end, and
    the model that had the last word.
    """

    latents: Tensor
    extra: Mapping[str, Any]
    complete: bool
    model: Model


def sample(
    studio: Studio,
    model: Model,
    work: Plan,
    batch: range,
    prompts: Program,
    control: Control,
    begin: Beginning = NOWHERE,
    read: handoff.Read | None = None,
) -> Sample:
    """Sample a batch; interrupted sampling gives its newest guess. read: how a refiner is told of the prompts."""
    facts, trained = model.family.latent, levels.trained(work, model.levels)
    shape = (facts.channels, work.height // facts.factor, work.width // facts.factor)
    route = levels.route(work, trained)
    noise = PictureNoise(work.noise(batch, facts.factor), shape, model.placement.device)
    first = noise.first()
    x = _first(studio, model, work, begin, first, route)
    event = moments.Sampling(
        plan=work,
        x=x,
        sigmas=route.sigmas,
        program=_shown(prompts, begin),
        noise=first,
        latents=begin.latents,
        model=model,
    )
    studio.moments.sampling.fire(event)
    predict = handoff.predicting(model, work, trained, studio)
    guided = GuidedDenoiser(
        predict,
        event.program,
        work.guidance,
        calls=work.calls,
        moments=studio.moments,
        measure=levels.measured(work, trained),
    )
    look = previews.Look(model=model, plan=work, tiny=studio.tiny, approx=studio.approx)
    watch = previews.Watch(look, guided, control, done=begin.done)
    told = None if read is None else lambda other: _shown(read(other), begin)
    taking = handoff.taking(studio, model, work, told, control)
    relay = handoff.Relay(guided, model, work, trained, taking, studio)
    kept = _kept(studio, begin)
    model.residency.use("denoiser")
    run = functools.partial(
        work.sampler.run,
        _keeping(edited.steered(relay, predict, event.program, work.image_scale), kept, work),
        process=model.process,
        noise=_spanning(work, noise, trained) if begin.latents is not None and len(event.sigmas) > 1 else noise,
        **{**work.parameters, **levels.facts(work, trained)},
    )
    latents, complete = _run(run, work, model, event, watch)
    if kept is not None:
        latents = kept.put_back(latents, None)
    sampled = moments.Sampled(plan=work, latents=latents)
    studio.moments.sampled.fire(sampled)
    own = {name: work.options[key] for name, key in model.family.notes.items()}
    return Sample(
        latents=sampled.latents, extra={**work.extra, **own, **guided.facts}, complete=complete, model=relay.model
    )


def _run(
    run: Callable[..., Tensor], work: Plan, model: Model, event: moments.Sampling, watch: previews.Watch
) -> tuple[Tensor, bool]:
    """(latents at the end or, interrupted, the newest guess; whether the end was reached)."""
    try:
        whole = len(event.sigmas) > 1
        latents = run(event.x, event.sigmas, on_step=watch) if whole else event.x
        return levels.finished(work, latents, event.sigmas, model.process), True
    except Interrupted:
        return watch.latest, False


def _shown(prompts: Program, begin: Beginning) -> Program:
    return prompts if begin.concat is None else dataclasses.replace(prompts, concat=begin.concat)


def _first(studio: Studio, model: Model, work: Plan, begin: Beginning, noise: Tensor, route: Tail) -> Tensor:
    """Where the sampler starts: noise (B, C, H, W) alone, or over a picture."""
    if begin.latents is None:
        return levels.alone(work, noise, route, model.process)
    noise = noise * plan.noise_multiplier(work.request, work.options)
    extra: float = work.options["img2img_extra_noise"]
    if not extra:
        return levels.noised(work, begin.latents, noise, route, model.process)
    event = moments.ExtraNoise(
        plan=work,
        noise=noise,
        latents=begin.latents,
        noised=levels.noised(work, begin.latents, noise, route, model.process),
    )
    studio.moments.extra_noise.fire(event)
    if not route.start:
        return event.noised + event.noise * extra
    more = levels.noised(work, torch.zeros_like(noise), event.noise * extra / route.start, route, model.process)
    return event.noised + more


def _kept(studio: Studio, begin: Beginning) -> Kept | None:
    if begin.latents is None or begin.mask is None:
        return None
    return Kept(picture=begin.latents, mask=begin.mask, moments=studio.moments)


def _keeping(guided: GuidedDenoise, kept: Kept | None, work: Plan) -> GuidedDenoise:
    """The denoiser as the sampler is given it."""
    if kept is None:
        return guided
    return Before(guided, kept) if work.sampler.scaled else After(guided, kept)


def _spanning(work: Plan, noise: PictureNoise, trained: TrainedLevels) -> PathNoise:
    """Noise whose Brownian paths span the whole schedule, though only its end is sampled: A1111's way, but for its old
    one of a single path a batch.
    """
    if work.options["no_dpmpp_sde_batch_determinism"]:
        return noise
    return _Spanning(noise, *levels.scheduled(work, trained))


@dataclasses.dataclass(frozen=True)
class _Spanning:
    noise: PictureNoise
    low: Tensor
    high: Tensor

    def __call__(self) -> Tensor:
        return self.noise()

    def brownian(self, low: Tensor, high: Tensor) -> StepNoise:
        return self.noise.brownian(self.low, self.high)
