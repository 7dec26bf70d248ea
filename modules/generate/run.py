"""A job from its request to files on disk. This file is the story; the parts are its neighbours."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from modules.core.errors import BadRequest, EaselError
from modules.core.types import JsonObject
from modules.generate import (
    attending,
    equip,
    hires,
    hires_plan,
    hypertiled,
    img2img,
    moments,
    pixels,
    plan,
    previews,
    program,
    recall,
    restoring,
    sampling,
    token_merging,
    words,
)
from modules.generate.guidance import Program
from modules.generate.handoff import Read
from modules.generate.img2img import Start
from modules.generate.plan import Plan
from modules.generate.request import Generation
from modules.generate.sampling import Beginning, Sample
from modules.generate.save import Album
from modules.generate.studio import Control, Studio
from modules.generate.thrift import Thrift
from modules.loading import tiling
from modules.loading.loader import Model
from modules.loading.vae import to_image
from modules.settings.options import Snapshot

UNTILED = "This model has no convolutions that could see the opposite border: its pictures do not become seamless."
"""A remark where tiling is asked of a transformer."""


BEYOND = 1e6
"""No latent of a picture is as large as this; its VAE would overflow."""


def make(studio: Studio, request: Generation, options: Mapping[str, Any], control: Control, album: Album) -> JsonObject:
    """Make the pictures of a request -> the job's result (pictures with path and infotext, info, comments;
    model_seconds: text encoders, sampling and VAE).

    Interrupted work keeps what is there. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile, EaselError.
    """
    with attending.attended(studio, request) as studio:
        return _make(studio, request, options, control, album.heard_by(studio.moments))


def _make(
    studio: Studio, request: Generation, options: Mapping[str, Any], control: Control, album: Album
) -> JsonObject:
    work = hypertiled.told(planned(studio, request, options))
    control.text("Loading the model")
    model = studio.model(work, others=work.models - 1)
    if work.tiling and not tiling.can(model.unet):
        work = dataclasses.replace(work, notes=(*work.notes, UNTILED))
    control.text("")
    control.begin(batches=work.request.n_iter, steps=hires.steps(work))
    thrift, modelled = Thrift(work), 0.0
    with torch.inference_mode(), hypertiled.cut(studio, work) as studio, token_merging.merged(studio, work) as studio:
        work, start = img2img.begun(studio, model, work, album.add_input)
        for batch in thrift.batches():
            if control.interrupted:
                break
            index = batch.start // work.request.batch_size
            control.batch(index)
            if all(album.holds(number) for number in batch):  # made before the process was killed
                for number in batch:
                    album.take_over(number)
                continue
            model = studio.model(work, others=work.models - 1)  # a refiner may have taken its place
            begun = time.perf_counter()
            with recall.of_batch(studio.unfinished, work, batch) as record:
                own = dataclasses.replace(studio, record=record)
                try:
                    work, made = _made(own, model, work, batch, index, start, control, album)
                except RuntimeError as error:
                    thrift.again(batch, model, error)
                    continue
                modelled += time.perf_counter() - begun
                for number, picture in zip(batch, made.decoded, strict=True):
                    kept(studio, work, start, number, picture, made.sample, album)
    work = dataclasses.replace(work, notes=(*work.notes, *model.vae.told(), *thrift.notes))
    gathering = moments.Gathering(plan=work)
    studio.moments.gathering.fire(gathering)
    result = album.close(work, gathering.more)
    studio.moments.finished.fire(moments.Finished(plan=work, result=result))
    return {**result, "model_seconds": modelled}


class Made(NamedTuple):
    """A batch: its latents with what is told of them, and its pixels, each (3, H, W) in 0..1."""

    sample: Sample
    decoded: list[Tensor]


def _made(
    studio: Studio, model: Model, work: Plan, batch: range, index: int, start: Start, control: Control, album: Album
) -> tuple[Plan, Made]:
    """Sample and decode a batch -> (the plan with what became known of it, the pictures)."""
    work = _starting(studio, work, index, batch)
    equipped = equip.equip(studio.networks, studio.moments, model, work, batch, index)
    work = equipped.plan
    studio.record.open(functools.partial(recall.facts, work, model))
    prompts = encoded(studio, model, work, equipped.prompts, batch, index)
    read = _reading(studio, work, equipped.prompts, batch, index)
    early = hires.early(studio, model, work, batch)
    if (given := hires.first_picture(studio, work)) is not None:
        sample = hires.given(studio, model, work, given)
    else:
        sample = sampling.sample(studio, model, work, batch, prompts, control, _begin(work, start, batch), read=read)
    if work.hires:
        first = hires.First(sample=sample, picture=given, prompts=early)
        work, sample = hires.again(studio, work, batch, index, first, control, album.aside)
    quick = control.interrupted and work.options["live_preview_fast_interrupt"]
    pictures = decoded(studio, sample.model, work, index, sample.latents, quick=quick)
    if remarks := sample.model.vae.told():  # of the second pass' or the refiner's own, if that had the last word
        work = dataclasses.replace(work, notes=tuple(dict.fromkeys((*work.notes, *remarks))))
    return work, Made(sample, pictures)


def _begin(work: Plan, start: Start, batch: range) -> Beginning:
    """Where a batch begins; every whole one begins alike, a part of one with its own pictures."""
    size = work.request.batch_size
    if len(batch) == size:
        return start.begin
    return start.begin.part(range(batch.start % size, batch.start % size + len(batch)))


def kept(studio: Studio, work: Plan, start: Start, number: int, picture: Tensor, sample: Sample, album: Album) -> None:
    """Finish a picture and put it into the album, where an earlier process of the job may have put it."""
    if album.holds(number):
        return album.take_over(number)
    extra, image = {**sample.extra, **pixels.decoder_note(work)}, to_image(picture)
    if work.restorer and work.options["save_images_before_face_restoration"]:
        album.aside(work, number, image, extra, "-before-face-restoration")
    image = _finished(studio, work, number, image)
    done = img2img.finished(studio, work, start, number, image, extra, album)
    album.add(work, number, done.image, extra, complete=sample.complete)
    img2img.add_masks(work, number, done, extra, album)
    album.settle(number, complete=sample.complete)


def planned(studio: Studio, request: Generation, options: Mapping[str, Any]) -> Plan:
    """The plan of a request, after all listeners."""
    planning = moments.Planning(request=request)
    studio.moments.planning.fire(planning)
    if planning.request.override_settings != request.override_settings and isinstance(options, Snapshot):
        options = options.overlay(planning.request.override_settings)
    work = plan.make(planning.request, options, studio.stock, studio.clock())
    work = dataclasses.replace(
        work, checkpoint=studio.library.hashed(work.checkpoint), vae=studio.library.vaes.hashed(work.vae)
    )
    if work.hires and work.hires.checkpoint:
        found = hires_plan.with_checkpoint(work.hires, studio.library.hashed(work.hires.checkpoint))
        work = dataclasses.replace(work, hires=found, opening={**work.opening, **found.facts})
    work = equip.with_defaults(studio.networks, work)
    event = moments.Planned(plan=work)
    studio.moments.planned.fire(event)
    return event.plan


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

    changed = dataclasses.replace(
        event.plan,
        prompts=spliced(work.prompts, event.prompts),
        negative_prompts=spliced(work.negative_prompts, event.negative_prompts),
        seeds=spliced(work.seeds, event.seeds),
        subseeds=spliced(work.subseeds, event.subseeds),
    )
    return hires.following(work, changed)


def _reading(studio: Studio, work: Plan, prompts: tuple[str, ...], batch: range, index: int) -> Read:
    """How another model than the one it begins with is told of a batch."""

    def read(model: Model) -> Program:
        equip.equip_also(studio.networks, model, work, batch)
        return encoded(studio, model, work, prompts, batch, index)

    return read


def encoded(studio: Studio, model: Model, work: Plan, prompts: tuple[str, ...], batch: range, index: int) -> Program:
    """What the batch's prompts, without tags, and its negative prompts say."""
    model.residency.use("text")
    part = slice(batch.start, batch.stop)
    event = moments.BatchReady(
        plan=work,
        index=index,
        program=program.encoded(
            model.text,
            prompts,
            work.negative_prompts[part],
            work.text,
            work.timeline,
            program.told(model.family, work),
            equip.blank(studio.networks, model, work),
        ),
    )
    studio.moments.batch_ready.fire(event)
    return event.program


def decoded(
    studio: Studio, model: Model, work: Plan, index: int, latents: Tensor, *, quick: bool = False
) -> list[Tensor]:
    """Latents (B, C, H, W) to pixels, (3, H, W) in 0..1 each. quick: in the way of previews."""
    if not bool(latents.abs().max() < BEYOND):  # also what is no number
        raise _overflow(work)
    decode: Callable[[Tensor], Tensor]
    if quick:
        decode = previews.Look(model=model, plan=work, tiny=studio.tiny, approx=studio.approx).whole
    else:
        model.residency.use("vae")
        decode = pixels.decoder(studio, model, work)
    event = moments.Decoded(plan=work, index=index, pixels=[decode(latent) for latent in latents])
    studio.moments.decoded.fire(event)
    return event.pixels


def _overflow(work: Plan) -> EaselError:
    """Why numbers may have overflowed: the request's fault where it asks for something absurd."""
    told = f"{work.checkpoint.title} produced numbers that are not finite or beyond all measure"
    second = work.hires.prompts + work.hires.negative_prompts if work.hires else ()
    prompts = dict.fromkeys((*work.prompts, *work.negative_prompts, *second))
    culprit = next(filter(None, map(words.too_strong, prompts)), None)
    if culprit:
        return BadRequest(f"{told}: {culprit} is too strong.", field="prompt")
    return EaselError(f"{told}. Start with --no-half, or take another file.")


def _finished(studio: Studio, work: Plan, number: int, image: Image.Image) -> Image.Image:
    """With its faces restored, and what listeners made of it."""
    image = restoring.restored(studio.faces, work, image)
    ready = moments.PictureReady(plan=work, index=number, image=image)
    studio.moments.picture_ready.fire(ready)
    return ready.image
