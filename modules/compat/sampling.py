"""`sd_samplers` and `sd_schedulers`: the catalog's rows in A1111's forms."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from modules.compat import room as rooms
from modules.core.errors import EaselError
from modules.core.errors import Interrupted as InterruptedException
from modules.samplers import catalog

__all__ = ["InterruptedException", "SamplerData", "Scheduler"]

_Fields = namedtuple("_Fields", ["name", "constructor", "aliases", "options"])


class SamplerData(_Fields):
    """A sampler's row."""

    __slots__ = ()

    def total_steps(self, steps: int) -> int:
        return steps * 2 if self.options.get("second_order") else steps


@dataclasses.dataclass
class Scheduler:
    """A schedule's row."""

    name: str
    label: str
    function: Any
    default_rho: float = -1
    need_inner_model: bool = False
    aliases: list[str] | None = None


def all_rows() -> list[SamplerData]:
    """All of them."""
    rows = rooms.current().app.catalog.samplers()
    return [SamplerData(row.name, None, list(row.aliases), dict(row.options)) for row in rows]


def by_name() -> dict[str, SamplerData]:
    return {each.name: each for each in all_rows()}


def spellings() -> dict[str, str]:
    """`samplers_map`: any spelling in lower case -> name."""
    return {word.lower(): each.name for each in all_rows() for word in (each.name, *each.aliases)}


def schedulers() -> list[Scheduler]:
    rows = rooms.current().app.catalog.schedulers()
    return [
        Scheduler(
            row.name,
            row.label,
            None if row.function is None else catalog.resolve(row.function),
            row.default_rho,
            row.need_inner_model,
            list(row.aliases) if row.aliases else None,
        )
        for row in rows
    ]


def schedulers_map() -> dict[str, Scheduler]:
    return {**{each.name: each for each in schedulers()}, **{each.label: each for each in schedulers()}}


def find_sampler_config(name: str | None) -> SamplerData | None:
    found = by_name()
    return found.get(spellings().get((name or "").lower(), name or ""), next(iter(found.values())))


def visible_samplers() -> list[SamplerData]:
    hidden = rooms.current().opts.hide_samplers
    return [each for each in all_rows() if each.name not in hidden]


def visible_sampler_names() -> list[str]:
    return [each.name for each in visible_samplers()]


def create_sampler(name: str, model: Any) -> Any:
    """What the job under way shows as its sampler, for those that put a function of theirs around this one. At any
    other time it is refused: samplers of Easel are functions. Raises EaselError.
    """
    frame = rooms.current().frame
    if frame is not None and frame.sampler is not None:
        return frame.sampler
    raise EaselError(
        f'An extension wants to run the sampler "{name}" by itself. Here a sampler is a function of a denoiser: '
        "app.catalog.find_sampler(name)."
    )


def set_samplers() -> None:
    """Lists are made when they are read."""


def get_sampler_and_scheduler(sampler_name: str | None, scheduler_name: str | None, **_: Any) -> tuple[str, str]:
    """(sampler, schedule) of names in the old joined style."""
    try:
        sampler, scheduler = rooms.current().app.catalog.find_sampler(sampler_name or "Euler")
    except EaselError:
        return sampler_name or "", scheduler_name or "Automatic"
    return sampler.name, scheduler.label if scheduler else (scheduler_name or "Automatic")


def get_hr_sampler_and_scheduler(d: dict[str, Any]) -> tuple[str, str]:
    return get_sampler_and_scheduler(d.get("Hires sampler", "Use same sampler"), d.get("Hires schedule type"))


def setup_img2img_steps(p: Any, steps: int | None = None) -> tuple[int, int]:
    """(steps of the whole schedule, those that are done)."""
    room = rooms.current()
    strength = min(p.denoising_strength or 0, 0.999)
    if room.opts.img2img_fix_steps or steps is not None:
        asked = steps or p.steps
        return (int(asked / strength) if strength > 0 else 0), asked - 1
    return p.steps, int(strength * p.steps)


approximation_indexes = {"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3}


def sample_to_image(samples: Any, index: int = 0, approximation: int | None = None) -> Any:
    """A latent of a batch as a picture."""
    from modules.loading.vae import to_image

    model = _model()
    return to_image(model.easel.vae.decode(samples[index]))


def samples_to_images_tensor(sample: Any, approximation: Any = None, model: Any = None) -> Any:
    """Latents (B, C, h, w) -> pixels (B, 3, H, W) in -1..1."""
    return (model or _model()).decode_first_stage(sample)


def decode_first_stage(model: Any, x: Any) -> Any:
    return model.decode_first_stage(x)


def images_tensor_to_samples(image: Any, approximation: Any = None, model: Any = None) -> Any:
    """Pixels (B, 3, H, W) in 0..1 -> latents."""
    return (model or _model()).encode_first_stage(image * 2 - 1)


def decode_latent_batch(model: Any, batch: Any, target_device: Any = None, check_for_nans: bool = False) -> list[Any]:
    from modules.compat.processing import DecodedSamples

    decoded = [model.decode_first_stage(each.unsqueeze(0))[0] for each in batch]
    return DecodedSamples([each.to(target_device) if target_device else each for each in decoded])


def create_random_tensors(
    shape: Any,
    seeds: Any,
    subseeds: Any = None,
    subseed_strength: float = 0.0,
    seed_resize_from_h: int = 0,
    seed_resize_from_w: int = 0,
    p: Any = None,
) -> Any:
    from modules.compat.model import ImageRNG

    made = ImageRNG(shape, seeds, subseeds, subseed_strength, seed_resize_from_h, seed_resize_from_w)
    return made.next()


def cheap_approximation(sample: Any) -> Any:
    """A latent (C, h, w) -> RGB (3, h, w) in -1..1, by its family's preview colours."""
    import torch

    facts = _model().easel.family.latent
    factors = torch.tensor(facts.preview, device=sample.device, dtype=sample.dtype)
    return torch.einsum("cxy,cr->rxy", sample, factors[: sample.shape[0]])


def _model() -> Any:
    from modules.compat import model

    found = model.now(rooms.current())
    if found is None:
        raise EaselError("There is no checkpoint.")
    return found


Constructor = Callable[[Any], Any]

_LISTS: dict[str, Callable[[], Any]] = {
    "all_samplers": all_rows,
    "samplers": all_rows,
    "all_samplers_map": by_name,
    "samplers_for_img2img": visible_samplers,
    "samplers_map": spellings,
    "samplers_hidden": lambda: rooms.current().opts.hide_samplers,
}


def __getattr__(name: str) -> Any:
    if name in _LISTS:
        return _LISTS[name]()
    raise AttributeError(f"modules.sd_samplers has no {name}")
