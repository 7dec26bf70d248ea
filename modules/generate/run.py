"""A text-to-image job from its request to files on disk. This file is the story; the parts are its neighbours."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from modules.core.errors import EaselError, Interrupted
from modules.core.noise import PictureNoise
from modules.core.types import JsonObject
from modules.generate import equip, levels, moments, plan, previews, program
from modules.generate.guidance import GuidedDenoiser, Program
from modules.generate.moments import Moments
from modules.generate.plan import Plan
from modules.generate.request import Txt2Img
from modules.generate.save import Album
from modules.loading.library import Library
from modules.loading.loader import Model
from modules.loading.prediction import denoised_from_eps
from modules.loading.shelf import Shelf
from modules.loading.vae import to_image
from modules.networks.apply import Networks
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog

log = logging.getLogger(__name__)


class Control(Protocol):
    """What running work tells the world and asks of it (`modules.jobs` has the real one)."""

    @property
    def interrupted(self) -> bool: ...
    @property
    def skipped(self) -> bool: ...
    def begin(self, *, batches: int, steps: int) -> None: ...
    def batch(self, index: int) -> None: ...
    def step(self, done: int) -> None: ...
    def text(self, text: str) -> None: ...
    def watched(self) -> bool: ...
    def preview(self, image: Image.Image) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Studio:
    """What making pictures needs from the rest of the house."""

    library: Library
    catalog: Catalog
    shelf: Shelf
    moments: Moments
    networks: Networks
    styles: StyleBook
    version: str
    clock: Callable[[], datetime] = datetime.now


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Latents (B, C, H, W) of a batch, what the infotext should say of them, and whether sampling came to its end."""

    latents: Tensor
    extra: Mapping[str, Any]
    complete: bool


def txt2img(studio: Studio, request: Txt2Img, options: Mapping[str, Any], control: Control, album: Album) -> JsonObject:
    """Make the pictures of a request -> the job's result (pictures with path and infotext, info, comments).

    Interrupted work keeps what is there. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile, EaselError.
    """
    work = _planned(studio, request, options)
    control.text("Loading the model")
    model = studio.shelf.get(work.checkpoint, keep=options["sd_checkpoint_cache"])
    control.text("")
    control.begin(batches=work.request.n_iter, steps=work.request.steps)
    with torch.inference_mode():
        for index, batch in enumerate(work.batches()):
            if control.interrupted:
                break
            control.batch(index)
            work = _starting(studio, work, index, batch)
            equipped = equip.equip(studio.networks, studio.moments, model, work, batch, index)
            work = equipped.plan
            prompts = _encoded(studio, model, work, equipped.prompts, batch, index)
            sample = _sampled(studio, model, work, batch, prompts, control)
            pixels = _decoded(studio, model, work, index, sample.latents)
            for number, picture in zip(batch, pixels, strict=True):
                image = _finished(studio, work, number, picture)
                album.add(work, number, image, sample.extra, complete=sample.complete)
    result = album.close(work)
    studio.moments.finished.fire(moments.Finished(plan=work, result=result))
    return result


def _planned(studio: Studio, request: Txt2Img, options: Mapping[str, Any]) -> Plan:
    planning = moments.Planning(request=request)
    studio.moments.planning.fire(planning)
    work = plan.make(
        planning.request,
        options,
        library=studio.library,
        catalog=studio.catalog,
        styles=studio.styles,
        version=studio.version,
        started=studio.clock(),
    )
    work = dataclasses.replace(work, checkpoint=studio.library.hashed(work.checkpoint))
    work = equip.with_defaults(studio.networks, work)
    planned = moments.Planned(plan=work)
    studio.moments.planned.fire(planned)
    return planned.plan


def _starting(studio: Studio, work: Plan, index: int, batch: range) -> Plan:
    """Let listeners change the prompts and seeds of a batch."""
    if not studio.moments.batch_starting:
        return work
    part = slice(batch.start, batch.stop)
    event = moments.BatchStarting(
        plan=work,
        index=index,
        prompts=list(work.prompts[part]),
        negative_prompts=list(work.negative_prompts[part]),
        seeds=list(work.seeds[part]),
        subseeds=list(work.subseeds[part]),
    )
    studio.moments.batch_starting.fire(event)

    def spliced(whole: tuple[Any, ...], new: list[Any]) -> tuple[Any, ...]:
        return (*whole[: batch.start], *new, *whole[batch.stop :])

    return dataclasses.replace(
        work,
        prompts=spliced(work.prompts, event.prompts),
        negative_prompts=spliced(work.negative_prompts, event.negative_prompts),
        seeds=spliced(work.seeds, event.seeds),
        subseeds=spliced(work.subseeds, event.subseeds),
    )


def _encoded(studio: Studio, model: Model, work: Plan, prompts: tuple[str, ...], batch: range, index: int) -> Program:
    """What the batch's prompts, without tags, and its negative prompts say."""
    model.residency.use("text")
    part = slice(batch.start, batch.stop)
    event = moments.BatchReady(
        plan=work,
        index=index,
        program=program.encoded(model.text, prompts, work.negative_prompts[part], work.text, work.timeline),
    )
    studio.moments.batch_ready.fire(event)
    return event.program


def _sampled(studio: Studio, model: Model, work: Plan, batch: range, prompts: Program, control: Control) -> Sample:
    """Sample a batch; interrupted sampling gives its newest guess."""
    facts, trained = model.family.latent, levels.trained(work, model.levels)
    shape = (facts.channels, work.height // facts.factor, work.width // facts.factor)
    sigmas = levels.visited(work, trained)
    noise = PictureNoise(work.noise(batch, facts.factor), shape, model.placement.device)
    x = noise.first() * levels.starting(work, sigmas)
    event = moments.Sampling(plan=work, x=x, sigmas=sigmas, program=prompts)
    studio.moments.sampling.fire(event)
    denoise = GuidedDenoiser(
        denoised_from_eps(model.network, trained, whole_times=work.options["enable_quantization"]),
        event.program,
        work.guidance,
        calls=work.calls,
        moments=studio.moments,
    )
    watch, complete = previews.Watch(model, work, denoise, control), True
    model.residency.use("denoiser")
    parameters = {**work.parameters, **levels.facts(work, trained)}
    try:
        latents = work.sampler.run(
            denoise, event.x, event.sigmas, process=model.process, noise=noise, on_step=watch, **parameters
        )
        latents = levels.finished(work, latents, event.sigmas)
    except Interrupted:
        latents, complete = watch.latest, False
    sampled = moments.Sampled(plan=work, latents=latents)
    studio.moments.sampled.fire(sampled)
    return Sample(latents=sampled.latents, extra={**work.extra, **denoise.notes}, complete=complete)


def _decoded(studio: Studio, model: Model, work: Plan, index: int, latents: Tensor) -> list[Tensor]:
    if not torch.isfinite(latents).all():
        raise EaselError(
            f"{work.checkpoint.title} produced numbers that are not finite. Start with --no-half, or take another file."
        )
    model.residency.use("vae")
    decoded = moments.Decoded(plan=work, index=index, pixels=[model.vae.decode(latent) for latent in latents])
    studio.moments.decoded.fire(decoded)
    return decoded.pixels


def _finished(studio: Studio, work: Plan, number: int, pixels: Tensor) -> Image.Image:
    ready = moments.PictureReady(plan=work, index=number, image=to_image(pixels))
    studio.moments.picture_ready.fire(ready)
    return ready.image
