"""What prompts say, in A1111's form and back: `p.c`, `p.uc`, and the rows that its CFG callbacks see."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from modules.core.errors import EaselError
from modules.generate.guidance import Conditioning, Program, Scheduled
from modules.loading.prediction import Given
from modules.loading.text import Encoding

ScheduledPromptConditioning = namedtuple("ScheduledPromptConditioning", ["end_at_step", "cond"])


class ComposableScheduledPromptConditioning:
    """One prompt of several joined by AND, with its weight."""

    def __init__(self, schedules: Any, weight: float = 1.0) -> None:
        self.schedules = schedules
        self.weight = weight


class MulticondLearnedConditioning:
    """What the prompts of a batch say: for each picture its prompts."""

    def __init__(self, shape: Any, batch: list[list[ComposableScheduledPromptConditioning]]) -> None:
        self.shape = shape
        self.batch = batch


class DictWithShape(dict[str, Any]):
    """Tensors of SDXL's conditioning with the shape of the tokens."""

    def __init__(self, x: Any, shape: Any = None) -> None:
        super().__init__()
        self.update(x)

    @property
    def shape(self) -> Any:
        return self["crossattn"].shape

    def to(self, *args: Any, **kwargs: Any) -> DictWithShape:
        for key in self:
            if isinstance(self[key], Tensor):
                self[key] = self[key].to(*args, **kwargs)
        return self

    def advanced_indexing(self, item: Any) -> DictWithShape:
        return DictWithShape({key: value[item] for key, value in self.items()})


def shown(program: Program) -> tuple[MulticondLearnedConditioning, list[list[Any]]]:
    """(c, uc) of a batch."""
    batch = [
        [ComposableScheduledPromptConditioning(_schedule(each), weight) for each, weight in picture]
        for picture in program.prompts
    ]
    return MulticondLearnedConditioning((len(batch),), batch), [_schedule(each) for each in program.negatives]


def _schedule(each: Scheduled) -> list[Any]:
    return [ScheduledPromptConditioning(end, _cond(encoding)) for end, encoding in each.entries]


def _cond(encoding: Encoding) -> Any:
    if encoding.pooled is None:
        return encoding.tokens
    return {"crossattn": encoding.tokens, "vector": encoding.pooled}


def taken(program: Program, c: Any, uc: Any) -> Program:
    """The program of a batch whose c and uc are these."""
    prompts = tuple(tuple((_scheduled(each.schedules), float(each.weight)) for each in picture) for picture in c.batch)
    return dataclasses.replace(program, prompts=prompts, negatives=tuple(_scheduled(each) for each in uc))


def _scheduled(entries: Sequence[Any]) -> Scheduled:
    return Scheduled(tuple((int(end), _encoding(cond)) for end, cond in entries))


def _encoding(cond: Any) -> Encoding:
    if isinstance(cond, dict):
        return Encoding(cond["crossattn"], cond.get("vector"))
    return Encoding(cond)


def given(cond: Any) -> Given:
    """What a network is told, of A1111's cond: tokens, or a dict with "c_crossattn" or "crossattn" and the like."""
    if not isinstance(cond, dict):
        return Given(context=cond)
    said: Any = cond.get("c_crossattn", cond.get("crossattn"))
    context = torch.cat(list(said), dim=1) if isinstance(said, list | tuple) else said
    vector = cond.get("vector", cond.get("c_adm"))
    further = cond.get("c_concat")
    channels = torch.cat(list(further), dim=1) if isinstance(further, list | tuple) and further else None
    if channels is not None and channels.shape[-2:] == (1, 1):
        channels = None  # A1111's zeros for models that take no further channels
    if vector is None or vector.shape[1] <= 6 * 256:
        return Given(context=context, concat=channels)
    raise EaselError("SDXL's network is asked by Easel only: its sizes cannot be told from a vector.")


def text_rows(given: Given) -> Any:
    """What a network is told, as A1111's `text_cond`: tokens (rows, n, width), or a dict of tensors."""
    if given.pooled is None:
        return given.context
    vector = given.pooled if given.ids is None else torch.cat([given.pooled, given.ids.to(given.pooled)], dim=1)
    return DictWithShape({"crossattn": given.context, "vector": vector})


def with_text_rows(given: Given, rows: Any, before: Any) -> Given:
    """What a network is told once `rows` took the place of `before`."""
    if rows is before and not isinstance(rows, dict):
        return given
    if not isinstance(rows, dict):
        return dataclasses.replace(given, context=rows)
    vector = rows.get("vector")
    pooled = given.pooled
    if vector is not None and pooled is not None:
        pooled = vector[:, : pooled.shape[1]]
    return dataclasses.replace(given, context=rows["crossattn"], pooled=pooled)


def image_rows(conditioning: Conditioning, x: Tensor) -> Tensor:
    """Further input channels, row by row; A1111 shows models without them one zero a row."""
    positive, negative = conditioning.positive.concat, conditioning.negative.concat
    count = len(conditioning.positive) + len(conditioning.negative)
    if positive is None or negative is None:
        return x.new_zeros(count, 5, 1, 1)
    return torch.cat([positive, negative])


def with_image_rows(conditioning: Conditioning, rows: Tensor) -> Conditioning:
    """The same with further input channels of these rows, where the model has any."""
    positive, negative = conditioning.positive, conditioning.negative
    if positive.concat is None or negative.concat is None:
        return conditioning
    cut = len(positive)
    return dataclasses.replace(
        conditioning,
        positive=dataclasses.replace(positive, concat=rows[:cut]),
        negative=dataclasses.replace(negative, concat=rows[cut:]),
    )
