"""A request with every question answered: which file, which seeds, which noise levels, which text under the picture.

`make` is the only reader of options on the way to a picture; what comes after it sees a frozen `Plan`.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from modules.core.errors import BadRequest
from modules.core.noise import MAX_SEED, Seeds
from modules.generate.guidance import GuidancePolicy
from modules.generate.request import Txt2Img
from modules.loading.library import Checkpoint, Library
from modules.prompts import comments, editing, network_tags
from modules.prompts.chunks import TextPolicy
from modules.prompts.editing import Timeline
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog, Levels, Sampler, Scheduler

RANDOM_SEEDS = 4294967294
"""Random seeds are below this, as in A1111, so that they fit its 32-bit fields."""
MOST_PROMPTS = 100
"""Prompts that AND may join: the model is asked about each at every step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before work starts. Tuples have one entry a picture, over all batches.

    parameters: what the sampler takes (eta, s_churn …); extra: facts for the infotext under A1111's names, in its
    order.
    """

    request: Txt2Img
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

    @property
    def count(self) -> int:
        """Pictures in all."""
        return len(self.seeds)

    @property
    def calls(self) -> int:
        """How often sampling is expected to ask the model."""
        return self.request.steps * self.sampler.calls_per_step

    @property
    def timeline(self) -> Timeline:
        """What the numbers in prompt editing count: model calls, as in A1111."""
        return Timeline(steps=self.calls, old=self.options["use_old_scheduling"])

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


def with_seeds(request: Txt2Img) -> Txt2Img:
    """The request with -1 seeds replaced by random ones: a job that is run again makes the same pictures."""
    return dataclasses.replace(request, seed=_fixed(request.seed), subseed=_fixed(request.subseed))


def make(
    request: Txt2Img,
    options: Mapping[str, Any],
    *,
    library: Library,
    catalog: Catalog,
    styles: StyleBook,
    version: str,
    started: datetime,
) -> Plan:
    """Answer every question of a request. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile."""
    _check(request)
    request = with_seeds(request)
    sampler, joined = catalog.find_sampler(request.sampler_name)
    chosen = joined or catalog.find_scheduler(request.scheduler or "Automatic")
    scheduler = _automatic(sampler, catalog) if chosen.function is None else chosen
    prompt, negative, notes = _prompts(request, options, styles)
    count = request.batch_size * request.n_iter
    parameters, parameter_notes = _parameters(request, options, sampler)
    levels = Levels.of(options)
    discards = "discard_next_to_last_sigma" in sampler.options
    return Plan(
        request=request,
        options=options,
        checkpoint=library.chosen(options["sd_model_checkpoint"]),
        prompts=(prompt,) * count,
        negative_prompts=(negative,) * count,
        seeds=tuple(request.seed + (0 if request.subseed_strength else index) for index in range(count)),
        subseeds=tuple(request.subseed + index for index in range(count)),
        width=request.width // 8 * 8,
        height=request.height // 8 * 8,
        sampler=sampler,
        scheduler=scheduler,
        scheduler_label=scheduler.label if scheduler else "Automatic",
        levels=levels,
        discard_penultimate=discards or levels.discard_penultimate,
        parameters=parameters,
        guidance=GuidancePolicy.of(
            options,
            scale=request.cfg_scale * sampler.guidance,
            both=sampler.shows_negative,
            min_uncond=options["s_min_uncond"] if request.s_min_uncond is None else request.s_min_uncond,
        ),
        text=TextPolicy.of(options),
        extra={
            **_prompt_notes(options, Timeline(steps=request.steps * sampler.calls_per_step), prompt, negative),
            **_flag("Discard penultimate sigma", levels.discard_penultimate and not discards),
            **_noise_schedule_notes(options),
            **_schedule_notes(scheduler, levels, used=not sampler.scaled),
            **_flag("SGM noise multiplier", options["sgm_noise_multiplier"] and not sampler.scaled),
            **parameter_notes,
        },
        notes=notes,
        started=started,
        version=version,
    )


def _check(request: Txt2Img) -> None:
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


def _automatic(sampler: Sampler, catalog: Catalog) -> Scheduler | None:
    """What "Automatic" means for a sampler: its own preference, or None for the model's schedule."""
    preferred = sampler.options.get("scheduler")
    return catalog.find_scheduler(preferred) if preferred else None


def _prompts(request: Txt2Img, options: Mapping[str, Any], styles: StyleBook) -> tuple[str, str, tuple[str, ...]]:
    """(prompt, negative prompt, remarks for the user), with styles and without comments."""
    prompt, negative, unknown = styles.apply(request.styles, request.prompt, request.negative_prompt)
    if options["enable_prompt_comments"]:
        prompt, negative = comments.strip_comments(prompt), comments.strip_comments(negative)
    if (joined := len(editing.subprompts(prompt))) > MOST_PROMPTS:
        raise BadRequest(f"AND joins {joined} prompts; at most {MOST_PROMPTS} are possible.", field="prompt")
    return prompt, negative, tuple(dict.fromkeys([*unknown, *remarks(negative)]))


def remarks(negative: str) -> list[str]:
    """What a negative prompt asks for in vain: A1111 reads networks there as text."""
    tags = (tag for tag in network_tags.split(negative)[1] if tag.kind)
    return [f"<{tag.word}:{':'.join(tag.positional)}> is only text in the negative prompt." for tag in tags]


_SIGMA_NAMES = {"s_churn": "Sigma churn", "s_tmin": "Sigma tmin", "s_tmax": "Sigma tmax", "s_noise": "Sigma noise"}
_ETA = {"eta_ancestral": ("Eta", 1.0), "eta_ddim": ("Eta DDIM", 0.0)}
"""For each option: its name in the infotext and the value that goes without saying."""
_SIGMA_DEFAULTS = {"s_churn": 0.0, "s_tmin": 0.0, "s_tmax": math.inf, "s_noise": 1.0}


def _parameters(
    request: Txt2Img, options: Mapping[str, Any], sampler: Sampler
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what the sampler is called with, what the infotext says of it).

    An option that was changed wins over the request's own field and is noted; the field alone is not: A1111's rule.
    """
    values: dict[str, Any] = {parameter: options[key] for parameter, key in sampler.settings.items()}
    notes: dict[str, Any] = {}
    if "eta" in sampler.parameters:
        label, usual = _ETA[sampler.eta]
        values["eta"] = options[sampler.eta] if request.eta is None else request.eta
        if values["eta"] != usual:
            notes[label] = values["eta"]
    for name, default in _SIGMA_DEFAULTS.items():
        if name not in sampler.parameters:
            continue
        option = options[name]
        if name == "s_tmax":
            option = option or math.inf
        asked = getattr(request, name)
        values[name] = default if asked is None or (name == "s_tmax" and not asked) else asked
        if option != default:
            values[name] = notes[_SIGMA_NAMES[name]] = option
    return values, notes


def _noise_schedule_notes(options: Mapping[str, Any]) -> dict[str, Any]:
    noise_schedule = options["sd_noise_schedule"]
    notes = _flag("Downcast alphas_cumprod", options["use_downcasted_alpha_bar"])
    return notes | ({"Noise Schedule": noise_schedule} if noise_schedule == "Zero Terminal SNR" else {})


def _schedule_notes(scheduler: Scheduler | None, levels: Levels, *, used: bool) -> dict[str, Any]:
    """used: the sampler asks the scheduler; otherwise its name is all there is to say."""
    if scheduler is None or not used:
        return {}
    notes: dict[str, Any] = {"Schedule type": scheduler.label}
    if levels.sigma_min:
        notes["Schedule min sigma"] = levels.sigma_min
    if levels.sigma_max:
        notes["Schedule max sigma"] = levels.sigma_max
    if scheduler.default_rho != -1 and levels.rho and levels.rho != scheduler.default_rho:
        notes["Schedule rho"] = levels.rho
    notes |= {name: getattr(levels, field) for name, field in scheduler.notes.items()}
    return notes


def _flag(name: str, value: bool) -> dict[str, Any]:
    return {name: True} if value else {}


def _prompt_notes(options: Mapping[str, Any], new: Timeline, prompt: str, negative: str) -> dict[str, Any]:
    """What A1111 notes about how the prompts are read: only what makes a difference to them."""
    prompts = [negative, *(text for text, _ in editing.subprompts(prompt))]
    read = dataclasses.replace(new, old=options["use_old_scheduling"])
    moved = read.old and any(editing.schedule(text, read) != editing.schedule(text, new) for text in (prompt, negative))
    texts = (text for each in prompts for _, text in editing.schedule(each, read))
    weighed = not options["use_old_emphasis_implementation"] and any(mark in text for text in texts for mark in "([")
    notes = _flag("Old prompt editing timelines", moved)
    return notes | ({"Emphasis": options["emphasis"]} if weighed and options["emphasis"] != "Original" else {})
