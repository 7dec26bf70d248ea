"""Running one job to its outcome, and the thread that does so for one job after the other. Called by queue.py."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

from modules.core.errors import EaselError, Interrupted
from modules.core.types import JsonObject
from modules.jobs.progress import Control
from modules.jobs.table import Jobs, State

log = logging.getLogger(__name__)

Runner: TypeAlias = "Callable[[JsonObject, Control], JsonObject]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended; the fields are those of `Job`."""

    state: State
    result: JsonObject | None = None
    error: str | None = None
    error_type: str | None = None
    error_field: str | None = None


def perform(runner: Runner, request: JsonObject, control: Control) -> Outcome:
    """Run a job; whatever Exception it raises becomes a "failed" outcome with words for a person.

    An `Interrupted` that the runner lets through means that there is nothing to show: "cancelled". What is not an
    Exception (KeyboardInterrupt, SystemExit) is not caught.
    """
    try:
        result = runner(request, control)
        return Outcome(state="done", result=json.loads(json.dumps(result)))  # what a reader of the row will get
    except Interrupted:
        return Outcome(state="cancelled")
    except EaselError as error:
        field = getattr(error, "field", "") or None
        return Outcome(state="failed", error=str(error), error_type=type(error).__name__, error_field=field)
    except Exception as error:
        log.exception("Job %s failed unexpectedly.", control.job_id)
        name = type(error).__name__
        return Outcome(state="failed", error=f"Unexpected {name}: {error}", error_type=name)


class Worker(threading.Thread):
    """A thread that takes jobs, one or several at a time, and does them, until `take` (which may block) gives None."""

    def __init__(self, take: Callable[[], Jobs | None], do: Callable[[Jobs], None], *, name: str) -> None:
        super().__init__(name=name, daemon=True)  # a job that hangs must not keep the process alive
        self._take = take
        self._do = do

    def run(self) -> None:
        while (jobs := self._take()) is not None:
            self._do(jobs)
