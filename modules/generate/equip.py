"""A batch's networks: read from its prompts, put on the model, told in the infotext. Called by `run`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from modules.generate.moments import Moments, NetworksApplied
from modules.generate.plan import Plan
from modules.loading.loader import Model
from modules.networks.apply import How, Networks, Reading
from modules.prompts import editing, network_tags


@dataclasses.dataclass(frozen=True)
class Equipped:
    """The plan with what its infotext and the user should know of networks; the batch's prompts without tags."""

    plan: Plan
    prompts: tuple[str, ...]


def with_defaults(networks: Networks, work: Plan) -> Plan:
    """The plan with the networks that Settings add to every prompt."""

    def added(prompts: Sequence[str]) -> tuple[str, ...]:
        tags = (networks.default_tags(network_tags.split(prompt)[1], work.options) for prompt in prompts)
        return tuple(prompt + more for prompt, more in zip(prompts, tags, strict=True))

    hires = work.hires and dataclasses.replace(work.hires, prompts=added(work.hires.prompts))
    return dataclasses.replace(work, prompts=added(work.prompts), hires=hires)


def without_tags(prompts: Iterable[str]) -> tuple[str, ...]:
    """The prompts' words."""
    return tuple(network_tags.split(prompt)[0] for prompt in prompts)


def equip(networks: Networks, moments: Moments, model: Model, work: Plan, batch: range, index: int) -> Equipped:
    """Put the networks of a batch on the model, and none but those. The first prompt's tags hold for the whole batch,
    as in A1111.
    """
    part = slice(batch.start, batch.stop)
    split = [network_tags.split(prompt) for prompt in work.prompts[part]]
    prompts, tags = [text for text, _ in split], split[0][1]
    model.residency.use("text")
    applied = networks.apply(model, tags, How.of(work.options))
    event = NetworksApplied(plan=work, index=index, prompts=prompts, tags=tags, model=model)
    moments.networks_applied.fire(event)
    subprompts = [text for prompt in event.prompts for text, _ in editing.subprompts(prompt)]
    facts = networks.facts(applied, subprompts, work.negative_prompts[part], Reading.of(work.options))
    told = dataclasses.replace(
        event.plan,
        extra=_in_front(facts.infotext, event.plan.extra),
        notes=tuple(dict.fromkeys((*event.plan.notes, *facts.notes))),
    )
    return Equipped(told, tuple(event.prompts))


def equip_also(networks: Networks, model: Model, work: Plan, batch: range) -> None:
    """Put the networks of a batch on another model that works on it; what does not fit is left out."""
    model.residency.use("text")
    networks.apply(model, network_tags.split(work.prompts[batch.start])[1], How.of(work.options))


def blank(networks: Networks, model: Model, work: Plan) -> Tensor | None:
    """What shorter prompts are filled up with, where the options want that: as in A1111 it knows of no network."""
    options = work.options
    if not options["pad_cond_uncond"] or options["pad_cond_uncond_v0"]:
        return None
    return networks.blank(model, work.text)


def _in_front(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """A1111 writes networks before everything that sampling adds; those of an earlier batch stay."""
    networks = {key: value for key, value in old.items() if key.endswith(" hashes")}
    return networks | dict(new) | {key: value for key, value in old.items() if key not in networks}
