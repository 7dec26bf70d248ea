"""How a pass is sampled: which sampler along which schedule, with which parameters and guidance, and what the infotext
says of it. `plan.make` asks for the course of the first pass, `hires_plan` for that of the second.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from modules.generate.guidance import GuidancePolicy
from modules.generate.request import Generation
from modules.samplers.catalog import Catalog, Levels, Sampler, Scheduler

SCHEDULE = "Schedule type"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Course:
    """asked: the scheduler that was asked for; scheduler: what that means for the sampler, None = the model's own
    schedule; parameters: what the sampler takes (eta, s_churn …); notes: for the infotext, under A1111's names.
    """

    sampler: Sampler
    asked: Scheduler
    scheduler: Scheduler | None
    levels: Levels
    discard_penultimate: bool
    parameters: Mapping[str, Any]
    guidance: GuidancePolicy
    notes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The schedule's name in menus."""
        return self.scheduler.label if self.scheduler else "Automatic"


def planned(
    request: Generation,
    options: Mapping[str, Any],
    catalog: Catalog,
    *,
    after: Course | None = None,
    sampler_field: str = "sampler_name",
    scheduler_field: str = "scheduler",
    over_picture: bool = False,
) -> Course:
    """The course of a pass; the two fields of the request say what it asks for, None = as the pass `after` which it
    comes. over_picture: it begins with a picture under noise. Raises NotFound naming the field.
    """
    name, schedule = getattr(request, sampler_field), getattr(request, scheduler_field)
    sampler, joined = (after.sampler, None) if after and not name else catalog.find_sampler(name, field=sampler_field)
    same = after.asked if after and not schedule else None
    asked = joined or same or catalog.find_scheduler(schedule or "Automatic", field=scheduler_field)
    scheduler, levels = _meant(asked, sampler, catalog), Levels.of(options)
    parameters, notes = _parameters(request, options, sampler)
    discards = "discard_next_to_last_sigma" in sampler.options
    return Course(
        sampler=sampler,
        asked=asked,
        scheduler=scheduler,
        levels=levels,
        discard_penultimate=discards or levels.discard_penultimate,
        parameters=parameters,
        guidance=_guidance(request, options, sampler),
        notes={
            **flag("Discard penultimate sigma", levels.discard_penultimate and not discards),
            **_schedule_notes(scheduler, levels, used=not sampler.scaled),
            **flag("SGM noise multiplier", not over_picture and options["sgm_noise_multiplier"] and not sampler.scaled),
            **unless("Extra noise", options["img2img_extra_noise"] if over_picture else 0.0, 0.0),
            **notes,
        },
    )


def unless(name: str, value: object, usual: object) -> dict[str, Any]:
    """The note, unless the value goes without saying."""
    return {} if value == usual else {name: value}


def flag(name: str, value: bool) -> dict[str, Any]:
    return {name: True} if value else {}


def _meant(asked: Scheduler, sampler: Sampler, catalog: Catalog) -> Scheduler | None:
    """What "Automatic" means for a sampler: its own preference, or None for the model's schedule."""
    if asked.function is not None:
        return asked
    preferred = sampler.options.get("scheduler")
    return catalog.find_scheduler(preferred) if preferred else None


def _guidance(request: Generation, options: Mapping[str, Any], sampler: Sampler) -> GuidancePolicy:
    return GuidancePolicy.of(
        options,
        scale=request.cfg_scale * sampler.guidance,
        both=sampler.shows_negative,
        min_uncond=options["s_min_uncond"] if request.s_min_uncond is None else request.s_min_uncond,
    )


_SIGMA_NAMES = {"s_churn": "Sigma churn", "s_tmin": "Sigma tmin", "s_tmax": "Sigma tmax", "s_noise": "Sigma noise"}
_ETA = {"eta_ancestral": ("Eta", 1.0), "eta_ddim": ("Eta DDIM", 0.0)}
"""For each option: its name in the infotext and the value that goes without saying."""
_SIGMA_DEFAULTS = {"s_churn": 0.0, "s_tmin": 0.0, "s_tmax": math.inf, "s_noise": 1.0}


def _parameters(
    request: Generation, options: Mapping[str, Any], sampler: Sampler
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


def _schedule_notes(scheduler: Scheduler | None, levels: Levels, *, used: bool) -> dict[str, Any]:
    """used: the sampler asks the scheduler; otherwise its name is all there is to say."""
    if scheduler is None or not used:
        return {}
    notes: dict[str, Any] = {SCHEDULE: scheduler.label}
    if levels.sigma_min:
        notes["Schedule min sigma"] = levels.sigma_min
    if levels.sigma_max:
        notes["Schedule max sigma"] = levels.sigma_max
    if scheduler.default_rho != -1 and levels.rho and levels.rho != scheduler.default_rho:
        notes["Schedule rho"] = levels.rho
    notes |= {name: getattr(levels, field) for name, field in scheduler.notes.items()}
    return notes
