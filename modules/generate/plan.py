"""A request with every question answered: which file, which seeds, which noise levels, which text under the picture.

`make` is the only reader of options on the way to a picture; what comes after it sees a frozen `Plan`.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from modules.core.errors import BadRequest
from modules.core.noise import MAX_SEED, Seeds
from modules.generate import course, hires_plan, inpaint, refiner, restoring, words
from modules.generate.course import Course, flag, unless
from modules.generate.guidance import GuidancePolicy
from modules.generate.hires_plan import Finder, Hires
from modules.generate.refiner import Refiner
from modules.generate.request import Generation, Img2Img, Txt2Img
from modules.loading.library import Checkpoint, Library
from modules.loading.vaes import VaeFile
from modules.prompts.chunks import TextPolicy
from modules.prompts.editing import Timeline
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog, Levels, Sampler, Scheduler

Request = TypeVar("Request", bound=Generation)

RANDOM_SEEDS = 4294967294
"""Random seeds are below this, as in A1111, so that they fit its 32-bit fields."""


Teller: TypeAlias = "Callable[[Plan, int], Mapping[str, Any]]"
"""(plan, index of a picture) -> facts for its infotext; "Prompt" and "Negative prompt" take the place of the plan's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before work starts. Tuples have one entry a picture, over all batches.

    parameters: what the sampler takes (eta, s_churn …); opening, extra: facts for the infotext under A1111's names, in
    its order, those before and behind what is said of networks. strength 0..1: how much of a given picture may change
    (None: none is given); exact_steps: as many steps as asked for are done, whatever the strength. shows_mask: an
    inpainting model, which is shown what may change; picture_hash: of the last picture given, where those are saved;
    image_scale: how closely a model that edits pictures keeps to the one given. restorer: of faces, if any. hires: the
    second pass, if there is one to come; in the plan of a second pass earlier_calls are the model calls of the first,
    and scene is the size (width, height) that a model is told where it is not the picture's. tellers: asked for facts
    when a picture's infotext is written.
    """

    request: Generation
    options: Mapping[str, Any]
    checkpoint: Checkpoint
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    subseeds: tuple[int, ...]
    width: int
    height: int
    sampler: Sampler
    scheduler: Scheduler | None
    scheduler_label: str
    levels: Levels
    discard_penultimate: bool
    parameters: Mapping[str, Any]
    guidance: GuidancePolicy
    text: TextPolicy
    extra: Mapping[str, Any]
    notes: tuple[str, ...]
    started: datetime
    version: str
    strength: float | None = None
    exact_steps: bool = False
    vae: VaeFile | None = None
    opening: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tiling: bool = False
    restorer: str | None = None
    shows_mask: bool = False
    picture_hash: str | None = None
    image_scale: float | None = None
    hires: Hires | None = None
    earlier_calls: int | None = None
    scene: tuple[int, int] | None = None
    refiner: Refiner | None = None
    tellers: tuple[Teller, ...] = ()

    @property
    def models(self) -> int:
        """How many models take part."""
        second = self.hires is not None and self.hires.checkpoint is not None
        return 1 + second + (self.refiner is not None)

    @property
    def count(self) -> int:
        """Pictures in all."""
        return len(self.seeds)

    @property
    def steps(self) -> tuple[int, int]:
        """(steps of the whole schedule, how many of the last of them are done), as A1111 counts them."""
        asked = self.request.steps
        if self.strength is None:
            return asked, asked
        share = min(self.strength, 0.999)
        if self.exact_steps:
            return (int(asked / share), asked) if share > 0 else (0, 0)
        return asked, int(share * asked) + 1

    @property
    def calls(self) -> int:
        """How often sampling is expected to ask the model."""
        return self.steps[1] * self.sampler.calls_per_step

    @property
    def timeline(self) -> Timeline:
        """What the numbers in prompt editing count: the model calls of all steps, as in A1111."""
        calls, old = self.request.steps * self.sampler.calls_per_step, self.options["use_old_scheduling"]
        if old and self.earlier_calls is not None:
            return Timeline(steps=self.earlier_calls, old=True)
        return Timeline(steps=calls, earlier=self.earlier_calls, old=old)

    def batches(self) -> Iterable[range]:
        """Indices of the pictures of each batch."""
        size = self.request.batch_size
        return (range(start, start + size) for start in range(0, self.count, size))

    def noise(self, batch: range, factor: int) -> Seeds:
        """Where the noise of a batch comes from; factor: pixels a latent pixel."""
        request = self.request
        height, width = request.seed_resize_from_h, request.seed_resize_from_w
        return Seeds(
            source=self.options["randn_source"],
            seeds=self.seeds[batch.start : batch.stop],
            subseeds=self.subseeds[batch.start : batch.stop],
            strength=request.subseed_strength,
            resize_from=(height // factor, width // factor) if height > 0 and width > 0 else None,
            delta=self.options["eta_noise_seed_delta"],
            shared_path=self.options["no_dpmpp_sde_batch_determinism"],
        )


def with_seeds(request: Request) -> Request:
    """The request with -1 seeds replaced by random ones: a job that is run again makes the same pictures."""
    return dataclasses.replace(request, seed=_fixed(request.seed), subseed=_fixed(request.subseed))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stock:
    """What there is to choose from, and the program's version."""

    library: Library
    catalog: Catalog
    styles: StyleBook
    upscalers: Finder
    version: str


def make(request: Generation, options: Mapping[str, Any], stock: Stock, started: datetime) -> Plan:
    """Answer every question of a request. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile."""
    if isinstance(request, Txt2Img):
        request = hires_plan.sized(request, options)
    _check(request)
    request = with_seeds(request)
    if isinstance(request, Img2Img):
        inpaint.check(request)
        request = _one_each(request)
    over_picture = isinstance(request, Img2Img)
    way = course.planned(request, options, stock.catalog, over_picture=over_picture)
    text = words.asked(request, options, stock.styles)
    count = request.batch_size * request.n_iter
    checkpoint = stock.library.chosen(options["sd_model_checkpoint"])
    hires = _hires(request, options, way, checkpoint, stock)
    return Plan(
        request=request,
        options=options,
        checkpoint=checkpoint,
        vae=stock.library.vaes.chosen(checkpoint.path, options),
        prompts=(text.prompt,) * count,
        negative_prompts=(text.negative_prompt,) * count,
        seeds=tuple(request.seed + (0 if request.subseed_strength else index) for index in range(count)),
        subseeds=tuple(request.subseed + index for index in range(count)),
        width=request.width // 8 * 8,
        height=request.height // 8 * 8,
        sampler=way.sampler,
        scheduler=way.scheduler,
        scheduler_label=way.label,
        levels=way.levels,
        discard_penultimate=way.discard_penultimate,
        parameters=way.parameters,
        guidance=way.guidance,
        text=TextPolicy.of(options),
        extra={
            **words.notes(options, Timeline(steps=request.steps * way.sampler.calls_per_step), *text[:2]),
            **_noise_schedule_notes(options),
            **({} if hires and hires.given else _sampling_notes(request, options, way)),
        },
        strength=request.denoising_strength if over_picture else None,
        exact_steps=options["img2img_fix_steps"],
        tiling=options["tiling"] if request.tiling is None else request.tiling,
        restorer=restoring.restorer(request.restore_faces, options),
        hires=hires,
        refiner=refiner.asked(request, options, checkpoint, stock.library),
        opening=hires.facts if hires else {},
        notes=text.remarks,
        started=started,
        version=stock.version,
    )


def _hires(
    request: Generation, options: Mapping[str, Any], way: Course, checkpoint: Checkpoint, stock: Stock
) -> Hires | None:
    """The second pass, if one is asked for."""
    if not isinstance(request, Txt2Img) or not request.enable_hr:
        return None
    return hires_plan.planned(
        request,
        options,
        way,
        base=checkpoint,
        library=stock.library,
        catalog=stock.catalog,
        styles=stock.styles,
        upscalers=stock.upscalers,
    )


def _sampling_notes(request: Generation, options: Mapping[str, Any], way: Course) -> dict[str, Any]:
    """What the infotext says of sampling, in A1111's order."""
    return {
        **unless("Noise multiplier", noise_multiplier(request, options), 1.0),
        **way.notes,
    }


def noise_multiplier(request: Generation, options: Mapping[str, Any]) -> float:
    """How much stronger than usual the noise over a given picture is."""
    if not isinstance(request, Img2Img):
        return 1.0
    own = request.initial_noise_multiplier
    multiplier: float = options["initial_noise_multiplier"] if own is None else own
    return multiplier


def _one_each(request: Img2Img) -> Img2Img:
    """Several pictures make a batch of one each."""
    several = len(request.init_images) > 1
    return dataclasses.replace(request, batch_size=len(request.init_images)) if several else request


def _check(request: Generation) -> None:
    """What no later part could make sense of. Raises BadRequest naming the field."""
    whole = {"steps": 1, "batch_size": 1, "n_iter": 1, "width": 8, "height": 8, "seed": -1, "subseed": -1}
    for field, least in whole.items():
        if getattr(request, field) < least:
            raise BadRequest(f"{field} must be at least {least}, not {getattr(request, field)}.", field=field)
    for field in ("seed", "subseed"):
        if getattr(request, field) > MAX_SEED:
            raise BadRequest(f"{field} must be below 2^64.", field=field)
    for field in ("cfg_scale", "subseed_strength", "eta", "s_churn", "s_tmin", "s_noise", "s_min_uncond"):
        value = getattr(request, field)
        if value is not None and not math.isfinite(value):
            raise BadRequest(f"{field} must be a finite number.", field=field)


def _fixed(seed: int) -> int:
    return random.randrange(RANDOM_SEEDS) if seed == -1 else seed


def _noise_schedule_notes(options: Mapping[str, Any]) -> dict[str, Any]:
    noise_schedule = options["sd_noise_schedule"]
    notes = flag("Downcast alphas_cumprod", options["use_downcasted_alpha_bar"])
    return notes | ({"Noise Schedule": noise_schedule} if noise_schedule == "Zero Terminal SNR" else {})
