"""Jobs that are made in one go: a runner for several, and what becomes of each. Called by queue.py."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from modules.core.types import JsonObject
from modules.jobs.progress import Control
from modules.jobs.worker import Outcome, Runner, perform

log = logging.getLogger(__name__)

RunTogether: TypeAlias = "Callable[[Sequence[JsonObject], Sequence[Control]], list[Callable[[], JsonObject]] | None]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Together:
    """How several jobs of a kind, whose `Job.together` is equal, are made. run: does what they share -> for each, in
    order, what finishes it and gives its result; None when they do not fit after all. room: how many more jobs like
    this one may join it.
    """

    run: RunTogether
    room: Callable[[JsonObject], int]


def perform_together(
    together: Together, runner: Runner, requests: Sequence[JsonObject], controls: Sequence[Control]
) -> list[Outcome]:
    """Run jobs in one go. Where that fails, for whatever reason, each is run alone: none suffers from another."""
    try:
        finishes = together.run(requests, controls)
    except Exception as error:
        log.warning("%d jobs are made one by one, for together they failed: %s", len(requests), error)
        finishes = None
    if finishes is None:
        return [perform(runner, request, control) for request, control in zip(requests, controls, strict=True)]
    return [
        perform(_as_runner(finish), request, control)
        for finish, request, control in zip(finishes, requests, controls, strict=True)
    ]


def _as_runner(finish: Callable[[], JsonObject]) -> Runner:
    def run(request: JsonObject, control: Control) -> JsonObject:
        return finish()

    return run
