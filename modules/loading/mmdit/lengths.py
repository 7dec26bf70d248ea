"""Texts of different lengths in one batch, without masks: rows of one length are asked together, unfilled.

A filled-up text would need a mask in every attention; without the filling the numbers are the same and cost less.
`Given.pooled` (B, 1) says how many tokens of each row are its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from modules.loading.prediction import Given

Part: TypeAlias = Callable[[Tensor, Tensor, Given], Tensor]
"""(x (b, C, H, W), time (b,), given of one length) -> prediction (b, C, H, W)."""


def lengths(given: Given) -> list[int]:
    """Tokens of each row."""
    if given.pooled is None:
        return [given.context.shape[1]] * len(given)
    return [int(count) for count in given.pooled[:, 0].tolist()]


def grouped(x: Tensor, time: Tensor, given: Given, part: Part) -> Tensor:
    """Ask about the rows of each length by themselves -> predictions in the batch's order."""
    own = lengths(given)
    if len(set(own)) == 1:
        return part(x, time, dataclasses.replace(given, context=given.context[:, : own[0]]))
    answer: Tensor | None = None
    for count in dict.fromkeys(own):
        rows = [row for row, length in enumerate(own) if length == count]
        some = given.rows(rows)
        found = part(x[rows], time[rows], dataclasses.replace(some, context=some.context[:, :count]))
        answer = (
            torch.empty(len(x), *found.shape[1:], device=found.device, dtype=found.dtype) if answer is None else answer
        )
        answer[rows] = found
    assert answer is not None
    return answer
