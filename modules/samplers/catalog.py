"""The table of samplers and schedulers: A1111's labels and aliases -> functions. Extensions add rows.

Names are found in any case, by label or alias, and in A1111's old joined style ("DPM++ 2M Karras"). The functions live
in modules that import torch, so each row names its function and it is imported when a picture is made: listing costs
nothing.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from modules.core.errors import NotFound

if TYPE_CHECKING:
    from torch import Tensor

    from modules.core.process import TrainedLevels


class Tail(NamedTuple):
    """What is left to do over a picture: the level that it is noised to, the levels to visit from there."""

    start: Tensor
    sigmas: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler as the API lists it.

    function is "module:name" (or the callable itself): (denoise, x, sigmas, *, process, noise, on_step, **parameters)
    -> x. parameters: which of eta, s_churn, s_tmin, s_tmax, s_noise it takes; eta: the option that is eta's default;
    settings: further parameters and the options they come from; wants: facts it is called with ("steps", "trained").
    options: A1111's table of oddities ("scheduler": what Automatic means here; "discard_next_to_last_sigma";
    "uses_ensd"; "second_order": two model calls a step).

    levels: its own noise levels instead of a scheduler's, (steps, trained, **level_settings) -> sigmas;
    level_settings name fields of `Levels`; tail: those that are left to do over a picture, (scheduled, steps, done,
    trained, **level_settings) -> `Tail`, scheduled being a scheduler's last `done` steps. clock: trained levels ->
    those at which it asks the model. scaled: it samples x / sqrt(1 + sigma^2), as latent diffusion did: the first noise
    has variance 1, and what remains of noise at the end is scaled with the picture. asks: what a model predicts -> what
    its answers are taken for (keys of `loading.prediction.KINDS`; A1111's UniPC and LCM have their own ways). guidance:
    share of the CFG scale it is guided with; shows_negative: it needs the guess without the prompt at every scale.
    """

    name: str
    function: str | Callable[..., Tensor]
    aliases: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    eta: str = "eta_ancestral"
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    wants: tuple[str, ...] = ()
    levels: str | Callable[..., Tensor] | None = None
    level_settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tail: str | Callable[..., Tail] | None = None
    clock: str | Callable[[TrainedLevels], TrainedLevels] | None = None
    scaled: bool = False
    asks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    guidance: float = 1.0
    shows_negative: bool = False

    @property
    def run(self) -> Callable[..., Tensor]:
        return resolve(self.function)

    @property
    def calls_per_step(self) -> int:
        return 2 if "second_order" in self.options else 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scheduler:
    """A schedule as the API lists it.

    function ("module:name" or callable, None for Automatic): (steps, *, sigma_min, sigma_max[, rho]) -> sigmas, most
    often (steps + 1,), or (steps, trained, *, sigma_min, sigma_max) where `need_inner_model`. default_rho is -1 where
    rho means nothing. settings: further parameters and the fields of `Levels` they come from; notes: which of those
    the infotext tells, under which name.
    """

    name: str
    label: str
    function: str | Callable[..., Tensor] | None
    aliases: tuple[str, ...] | None = None
    default_rho: float = -1
    need_inner_model: bool = False
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)


def resolve(function: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function behind "module:name"."""
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


class Catalog:
    """Both lists, in the order in which menus show them."""

    def __init__(self, samplers: Iterable[Sampler], schedulers: Iterable[Scheduler]) -> None:
        self._samplers = list(samplers)
        self._schedulers = list(schedulers)

    def samplers(self) -> list[Sampler]:
        return list(self._samplers)

    def schedulers(self) -> list[Scheduler]:
        return list(self._schedulers)

    def add_sampler(self, sampler: Sampler) -> Callable[[], None]:
        """Add a row; returns the function that takes it out again. Raises ValueError for a name that is taken."""
        _refuse_taken({sampler.name, *sampler.aliases}, _spellings_of_samplers(self._samplers))
        self._samplers.append(sampler)
        return lambda: self._samplers.remove(sampler)

    def add_scheduler(self, scheduler: Scheduler) -> Callable[[], None]:
        """Add a row; returns the function that takes it out again. Raises ValueError for a name that is taken."""
        spellings = {scheduler.name, scheduler.label, *(scheduler.aliases or ())}
        _refuse_taken(spellings, _spellings_of_schedulers(self._schedulers))
        self._schedulers.append(scheduler)
        return lambda: self._schedulers.remove(scheduler)

    def find_scheduler(self, name: str, *, field: str = "scheduler") -> Scheduler:
        """By name, label or alias in any case. Raises NotFound(field)."""
        spellings = _spellings_of_schedulers(self._schedulers)
        found = spellings.get(name.strip().casefold())
        if found is None:
            raise NotFound("Scheduler", name, [row.label for row in self._schedulers], field=field)
        return found

    def find_sampler(self, name: str, *, field: str = "sampler_name") -> tuple[Sampler, Scheduler | None]:
        """By name or alias in any case -> (sampler, the scheduler that an old joined name such as "DPM++ 2M Karras"
        asks for).

        Raises NotFound(field).
        """
        spellings = _spellings_of_samplers(self._samplers)
        wanted = name.strip().casefold()
        if wanted in spellings:
            return spellings[wanted], None
        for ending, scheduler in self._endings():
            if wanted.endswith(ending) and wanted[: -len(ending)] in spellings:
                return spellings[wanted[: -len(ending)]], scheduler
        raise NotFound("Sampler", name, [row.name for row in self._samplers], field=field)

    def _endings(self) -> list[tuple[str, Scheduler]]:
        """How old names end: " Karras", and "_ka" / "_exp" behind k-diffusion aliases."""
        labels = [(f" {spelling}", row) for spelling, row in _spellings_of_schedulers(self._schedulers).items()]
        short = [(ending, row) for row in self._schedulers if (ending := _SHORT_ENDINGS.get(row.name))]
        return labels + short


_SHORT_ENDINGS = {"karras": "_ka", "exponential": "_exp"}


def _spellings_of_samplers(rows: Iterable[Sampler]) -> dict[str, Sampler]:
    return {spelling.casefold(): row for row in rows for spelling in (row.name, *row.aliases)}


def _spellings_of_schedulers(rows: Iterable[Scheduler]) -> dict[str, Scheduler]:
    return {spelling.casefold(): row for row in rows for spelling in (row.name, row.label, *(row.aliases or ()))}


def _refuse_taken(wanted: Iterable[str], taken: Mapping[str, object]) -> None:
    for spelling in wanted:
        if spelling.casefold() in taken:
            raise ValueError(f'The name "{spelling}" is taken.')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Levels:
    """How the options bend a schedule (A1111's keys). 0 means "the model's own" for sigma_min, sigma_max and rho.

    family: of the model that samples; some schedules were made for one.
    """

    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    old_karras_range: bool = False
    discard_penultimate: bool = False
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    unipc_spacing: str = "time_uniform"
    family: str = ""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Levels:
        return cls(
            sigma_min=options["sigma_min"],
            sigma_max=options["sigma_max"],
            rho=options["rho"],
            old_karras_range=options["use_old_karras_scheduler_sigmas"],
            discard_penultimate=options["always_discard_next_to_last_sigma"],
            beta_alpha=options["beta_dist_alpha"],
            beta_beta=options["beta_dist_beta"],
            unipc_spacing=options["uni_pc_skip_type"],
        )


def sigmas(
    scheduler: Scheduler | None,
    steps: int,
    trained: TrainedLevels,
    levels: Levels,
    *,
    discard_penultimate: bool,
    sampler: Sampler | None = None,
) -> Tensor:
    """The levels to visit, falling, most often (steps + 1,); None is the model's own schedule (uniform in time).

    A sampler with levels of its own gets those: the schedule then makes no difference to them.
    """
    from modules.samplers import schedules

    asked = steps + 1 if discard_penultimate else steps
    if sampler is not None and sampler.levels is not None:
        count = asked if sampler.scaled else steps  # DPM fast counts model calls, whatever becomes of a schedule's end
        own: Tensor = resolve(sampler.levels)(count, trained, **_taken(sampler.level_settings, levels))
        return own.clamp(max=trained.solvable)
    if scheduler is None or scheduler.function is None:
        result = schedules.uniform(asked, trained)
    else:
        low, high = (0.1, 10.0) if levels.old_karras_range else (trained.lowest, trained.highest)
        known = {"sigma_min": levels.sigma_min or low, "sigma_max": levels.sigma_max or high}
        if levels.rho and scheduler.default_rho != -1:
            known["rho"] = levels.rho
        model = (trained,) if scheduler.need_inner_model else ()
        result = resolve(scheduler.function)(asked, *model, **known, **_taken(scheduler.settings, levels))
    return schedules.without_penultimate(result) if discard_penultimate else result


def whole(
    scheduler: Scheduler | None,
    steps: int,
    trained: TrainedLevels,
    levels: Levels,
    *,
    discard_penultimate: bool,
    sampler: Sampler,
) -> Tail:
    """All of a schedule, for work that starts with noise alone.

    As in A1111, DPM fast and adaptive go their own way, from noise that is as strong as the schedule's first level.
    """
    visited = sigmas(scheduler, steps, trained, levels, discard_penultimate=discard_penultimate, sampler=sampler)
    if sampler.levels is None or sampler.scaled:
        return Tail(visited[0], visited)
    scheduled = sigmas(scheduler, steps, trained, levels, discard_penultimate=discard_penultimate)
    return Tail(scheduled[0].clamp(max=trained.solvable), visited)


def tail(
    scheduler: Scheduler | None,
    steps: int,
    done: int,
    trained: TrainedLevels,
    levels: Levels,
    *,
    discard_penultimate: bool,
    sampler: Sampler,
) -> Tail:
    """The last `done` (at least 1) of so many steps, for work that starts with a picture."""
    scheduled = sigmas(scheduler, steps, trained, levels, discard_penultimate=discard_penultimate)
    left = scheduled[max(0, steps - done) :]
    if sampler.tail is None:
        return Tail(left[0], left)
    asked = steps + 1 if discard_penultimate else steps
    settings = _taken(sampler.level_settings, levels)
    found: Tail = resolve(sampler.tail)(left, asked, done, trained, **settings)
    return found


def _taken(settings: Mapping[str, str], levels: Levels) -> dict[str, Any]:
    return {parameter: getattr(levels, field) for parameter, field in settings.items()}


def builtin() -> Catalog:
    """A fresh catalog of what Easel ships, in A1111's order."""
    from modules.samplers import rows

    return Catalog(samplers=rows.SAMPLERS, schedulers=rows.SCHEDULERS)
