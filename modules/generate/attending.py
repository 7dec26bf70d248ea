"""Always-on scripts that take part in one job: objects whose methods are named after moments.

`run.make` calls `attended` first. What such an object remembers is the job's own; when the job is over it is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

from modules.core.errors import EaselError, Interrupted
from modules.core.hooks import all_moments
from modules.generate.moments import Finished, Moments, Planned
from modules.generate.request import Generation
from modules.generate.scripts.registry import Asked
from modules.generate.studio import Studio

log = logging.getLogger(__name__)


@contextlib.contextmanager
def attended(studio: Studio, request: Generation) -> Iterator[Studio]:
    """The studio of a job, with the always-on scripts that the request brings listening to its moments.

    Afterwards, also where the job fails, their `close` is called if they have one. Raises what a script raises as it
    begins.
    """
    with contextlib.ExitStack() as ends:
        yield _attended(studio, request, ends)


def _attended(studio: Studio, request: Generation, ends: contextlib.ExitStack) -> Studio:
    parts = []
    for asked in studio.asked(request.kind, request.extension_args):
        work = asked.script.work(asked.values, studio, request) if asked.script.work is not None else None
        if work is not None:
            parts.append(_Part(asked, work))
            ends.callback(parts[-1].close)
    if not parts:
        return studio
    moments = studio.moments
    for part in parts:
        moments = _joined(moments, part)
    facts = {label: value for part in parts for label, value in part.facts.items()}
    planned = moments.planned.followed(lambda event: _tell(event, facts))
    return dataclasses.replace(studio, moments=dataclasses.replace(moments, planned=planned))


class _Part:
    """What one script does in a job. notes: remarks on what failed."""

    def __init__(self, asked: Asked, work: object) -> None:
        self.name = asked.script.title
        self.work = work
        self.facts = asked.facts
        self.notes: list[str] = []

    def guarded(self, moment: str, call: Callable[[Any], None]) -> Callable[[Any], None]:
        """The call, of which only words for a person and the wish to stop come through."""

        def run(event: Any) -> None:
            try:
                call(event)
            except (EaselError, Interrupted):
                raise
            except Exception as error:
                log.exception('%s: its work at "%s" failed and was passed over.', self.name, moment)
                note = f'{self.name} failed at "{moment}" and was passed over: {type(error).__name__}: {error}'
                if note not in self.notes:
                    self.notes.append(note)

        return run

    def close(self) -> None:
        close = getattr(self.work, "close", None)
        if callable(close):
            try:
                close()
            except Exception:
                log.exception("%s: its end failed.", self.name)

    def finished(self, event: Finished) -> None:
        if self.notes:
            event.result["comments"] = [*event.result.get("comments", ()), *self.notes]


def _joined(moments: Moments, part: _Part) -> Moments:
    changed: dict[str, Any] = {}
    for name, moment in all_moments(moments).items():
        method = getattr(part.work, name, None)
        if callable(method):
            changed[name] = moment.followed(part.guarded(name, method))
    changed["finished"] = changed.get("finished", moments.finished).followed(part.finished)
    return dataclasses.replace(moments, **changed)


def _tell(event: Planned, facts: dict[str, Any]) -> None:
    event.plan = dataclasses.replace(event.plan, opening={**facts, **event.plan.opening})
