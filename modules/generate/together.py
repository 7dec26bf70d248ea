"""Several waiting jobs in one batch: equal in all but their words and seeds, they share each forward of the model.

`alike` says which jobs may be made so, `make` makes them. Noise is drawn per picture and guidance is worked out per
picture, so that each job gets the pictures that it gets alone, but for the rounding of other sizes of matrices: at most
one of 255 levels in float32 (`tests/generate/test_together.py` measures it). In 16 bits rounding may show, so there
jobs are made alone. Called by `desk` on behalf of the queue.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from PIL import Image

from modules.core.hooks import all_moments
from modules.core.types import JsonObject
from modules.generate import equip, img2img, recall, run, sampling
from modules.generate.guidance import Program, Scheduled
from modules.generate.img2img import Start
from modules.generate.plan import Plan
from modules.generate.request import Generation, Txt2Img
from modules.generate.save import Album
from modules.generate.studio import Control, Studio
from modules.loading.loader import Model
from modules.prompts import network_tags

Finish: TypeAlias = "Callable[[], JsonObject]"

OWN = ("prompt", "negative_prompt", "styles", "seed", "subseed", "do_not_save_samples", "do_not_save_grid")
"""Fields that jobs of one batch may differ in."""
ADAPTIVE = ("DPM adaptive",)
"""Samplers whose steps depend on all pictures of a batch."""
SWITCHES = ("no_dpmpp_sde_batch_determinism", "hypertile_enable_unet", "hypertile_enable_vae", "token_merging_ratio")
"""Options with which a picture depends on its neighbours, or the model on its job."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A job of a batch: its request and options, and where its reports and pictures go."""

    request: Generation
    options: Mapping[str, Any]
    control: Control
    album: Album


def alike(work: Plan, frozen: JsonObject) -> str | None:
    """A text that is equal for jobs that may share a batch; None for one that is made alone. frozen: the options with
    which the job is queued.
    """
    request, options = work.request, work.options
    alone = (
        not isinstance(request, Txt2Img)
        or request.n_iter != 1
        or request.extension_args
        or work.hires is not None
        or work.refiner is not None
        or work.sampler.name in ADAPTIVE
        or any(options[name] for name in SWITCHES)
    )
    if alone:
        return None
    facts = {name: value for name, value in request.to_json().items() if name not in OWN}
    facts |= {"options": frozen, "tags": [[*map(str, network_tags.split(prompt)[1])] for prompt in work.prompts]}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def make(studio: Studio, parts: Sequence[Part]) -> list[Finish] | None:
    """Sample the pictures of all parts -> for each what saves its pictures and gives its result; None when they have to
    be made alone. Where the process ends meanwhile and the same jobs meet again, they go on (`recall`). Raises what
    `run.make` raises.
    """
    if studio.shelf.placement.dtype != torch.float32 or any(all_moments(studio.moments).values()):
        return None
    works = [run.planned(studio, part.request, part.options) for part in parts]
    control = _Everybody([part.control for part in parts])
    control.text("Loading the model")
    model = studio.model(works[0])
    control.text("")
    control.begin(batches=1, steps=works[0].steps[1])
    control.batch(0)
    begun = time.perf_counter()
    with torch.inference_mode():
        told = [_told(studio, model, work) for work in works]
        works, programs = [work for work, _ in told], [program for _, program in told]
        if len({_lengths(program) for program in programs}) > 1 or not all(map(_plain, programs)):
            return None
        whole, everybody = _whole(works), range(sum(work.count for work in works))
        whole, start = img2img.begun(studio, model, whole, _keep_nothing)
        with recall.of_batch(studio.unfinished, whole, everybody) as record:
            record.open(lambda: recall.facts(_with_networks(whole, works), model))
            recorded = dataclasses.replace(studio, record=record)
            sample = sampling.sample(recorded, model, whole, everybody, _joined(programs), control, start.begin)
            pictures = run.decoded(recorded, sample.model, whole, 0, sample.latents)
    share = (time.perf_counter() - begun) / len(parts)
    finishes, first = list[Finish](), 0
    for part, work in zip(parts, works, strict=True):
        own = dataclasses.replace(sample, extra={**work.extra, **sample.extra})
        finish = _finish(studio, model, part, work, pictures[first : first + work.count], own)
        finishes.append(functools.partial(_timed, finish, share))
        first += work.count
    return finishes


def _told(studio: Studio, model: Model, work: Plan) -> tuple[Plan, Program]:
    """A job's plan with what is said of its networks, and its own prompts."""
    batch = range(work.count)
    equipped = equip.equip(studio.networks, studio.moments, model, work, batch, 0)
    return equipped.plan, run.encoded(studio, model, equipped.plan, equipped.prompts, batch, 0)


def _plain(program: Program) -> bool:
    """Whether each picture has one prompt of weight 1: several are summed in another order in a larger batch."""
    return all(len(prompts) == 1 and prompts[0][1] == 1 for prompts in program.prompts)


def _lengths(program: Program) -> tuple[frozenset[int], frozenset[int]]:
    """Numbers of tokens of prompts and of negative prompts: where all jobs have the same one, nothing is padded."""

    def lengths(texts: Sequence[Scheduled]) -> frozenset[int]:
        return frozenset(len(encoding.tokens) for text in texts for _, encoding in text.entries)

    prompts = [prompt for picture in program.prompts for prompt, _ in picture]
    return lengths(prompts), lengths(program.negatives)


def _joined(programs: Sequence[Program]) -> Program:
    return dataclasses.replace(
        programs[0],
        prompts=tuple(prompt for program in programs for prompt in program.prompts),
        negatives=tuple(negative for program in programs for negative in program.negatives),
    )


def _whole(works: Sequence[Plan]) -> Plan:
    """The plan of all pictures; what is said of them (`extra`) is each job's own affair."""

    def all_of(name: str) -> tuple[Any, ...]:
        return tuple(each for work in works for each in getattr(work, name))

    first, seeds = works[0], all_of("seeds")
    return dataclasses.replace(
        first,
        request=dataclasses.replace(first.request, batch_size=len(seeds)),
        prompts=all_of("prompts"),
        negative_prompts=all_of("negative_prompts"),
        seeds=seeds,
        subseeds=all_of("subseeds"),
        extra={},
    )


def _with_networks(whole: Plan, works: Sequence[Plan]) -> Plan:
    """With what is said of each job's networks."""
    return dataclasses.replace(whole, extra={str(number): dict(work.extra) for number, work in enumerate(works)})


def _finish(
    studio: Studio, model: Model, part: Part, work: Plan, pictures: Sequence[torch.Tensor], sample: sampling.Sample
) -> Finish:
    def finish() -> JsonObject:
        with torch.inference_mode():
            for number, picture in enumerate(pictures):
                run.kept(studio, work, Start(), number, picture, sample, part.album)
        return part.album.close(dataclasses.replace(work, notes=(*work.notes, *model.vae.told())))

    return finish


def _timed(finish: Finish, seconds: float) -> JsonObject:
    """A job's result with its share of the batch's time."""
    return {**finish(), "model_seconds": seconds}


def _keep_nothing(plan: Plan, image: Image.Image, name: str) -> None:
    """No picture is given to text to image."""


class _Everybody:
    """A `Control` of several jobs: all are told; only when all shall end does the batch end. No previews: they would
    show one what another asked for.
    """

    def __init__(self, controls: Sequence[Control]) -> None:
        self._controls = controls

    @property
    def interrupted(self) -> bool:
        return all(each.interrupted for each in self._controls)

    @property
    def skipped(self) -> bool:
        return all(each.skipped or each.interrupted for each in self._controls)

    def begin(self, *, batches: int, steps: int) -> None:
        for each in self._controls:
            each.begin(batches=batches, steps=steps)

    def batch(self, index: int) -> None:
        for each in self._controls:
            each.batch(index)

    def step(self, done: int) -> None:
        for each in self._controls:
            each.step(done)

    def text(self, text: str) -> None:
        for each in self._controls:
            each.text(text)

    def watched(self) -> bool:
        return False

    def preview(self, image: Image.Image) -> None:
        """Nobody is shown anything."""
