"""How far a job is: an immutable record that its runner swaps whole and that readers read without a lock.

`Control` is what a runner gets: it reports with it and asks it whether to stop. The queue hands the same object's
`progress` to readers and calls `interrupt`, `skip` and `watch` on their behalf.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modules.jobs.table import State

if TYPE_CHECKING:
    from PIL.Image import Image

WATCH_SECONDS = 5.0  # how long after the last look somebody still counts as watching


class Abandoned(BaseException):
    """Raised in a runner by its `Control` when Easel ends: leave the work, it runs again at the next start."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preview:
    """A picture of the work so far. id counts up from 1 within a job, so a reader sees whether it has this one."""

    id: int
    image: Image


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """A job at one moment.

    queue_position: 1 is the next to run, 0 when it is not waiting. step of steps of this batch are done; batch counts
    from 0. started: unix seconds. eta: seconds to go, None while unknown. fraction: 0..1, 1 once the job has ended.
    at: when the last step ended, on the clock of the `Control` (seconds, any origin).
    """

    job_id: str
    state: State
    queue_position: int = 0
    step: int = 0
    steps: int = 0
    batch: int = 0
    batches: int = 0
    started: float | None = None
    eta: float | None = None
    fraction: float = 0.0
    text: str = ""
    interrupted: bool = False
    skipped: bool = False
    preview: Preview | None = None
    at: float = dataclasses.field(default=0.0, repr=False, compare=False)


class Control:
    """The wire between a running job and everybody else. All methods are safe from any thread and return at once.

    A runner calls `begin`, then for each batch `batch` and after each step `step`; between steps it looks at
    `interrupted` (end the job with what there is) and `skipped` (end this batch with what there is).
    """

    def __init__(
        self, job_id: str, *, started: float = 0.0, clock: Callable[[], float] = time.monotonic, owner: str = ""
    ) -> None:
        """started: unix seconds. clock: seconds that never go back, for the ETA and for who is watching."""
        self.job_id = job_id
        self.owner = owner
        self._clock = clock
        self._guard = threading.Lock()  # of writers against each other
        self._begun = clock()
        self._watched = -math.inf
        self._abandoned = False
        self._record = Progress(job_id=job_id, state="running", started=started, at=self._begun)

    @property
    def progress(self) -> Progress:
        """The record of now; its eta counts down between steps. Takes no lock."""
        record = self._record
        if record.eta is None:
            return record
        return dataclasses.replace(record, eta=max(0.0, record.eta - (self._clock() - record.at)))

    @property
    def interrupted(self) -> bool:
        """The job shall end with what there is."""
        return self._record.interrupted

    @property
    def skipped(self) -> bool:
        """The current batch shall end with what there is; false again when the next one begins."""
        return self._record.skipped

    def begin(self, *, batches: int, steps: int) -> None:
        """Sampling begins: `batches` >= 1 times `steps` >= 0 steps. The ETA counts from here, so loading is not in it.

        A second call starts the counting anew.
        """
        with self._guard:
            self._begun = self._clock()
            self._swap(batches=batches, steps=steps, batch=0, step=0)

    def batch(self, index: int) -> None:
        """Batch `index` (0..batches - 1) begins. Raises `Abandoned`."""
        self._leave_if_abandoned()
        with self._guard:
            self._swap(batch=index, step=0, skipped=False)

    def step(self, done: int) -> None:
        """`done` (0..steps) steps of this batch are done. Raises `Abandoned`."""
        self._leave_if_abandoned()
        with self._guard:
            self._swap(step=done)

    def text(self, text: str) -> None:
        """What is going on, in words for the page ("Loading …")."""
        with self._guard:
            self._record = dataclasses.replace(self._record, text=text)

    def preview(self, image: Image) -> None:
        """Show this picture to whoever watches."""
        with self._guard:
            shown = self._record.preview
            preview = Preview(id=shown.id + 1 if shown else 1, image=image)
            self._record = dataclasses.replace(self._record, preview=preview)

    def interrupt(self) -> None:
        with self._guard:
            self._record = dataclasses.replace(self._record, interrupted=True)

    def skip(self) -> None:
        with self._guard:
            self._record = dataclasses.replace(self._record, skipped=True)

    def abandon(self) -> None:
        """The next report of the runner raises `Abandoned`."""
        self._abandoned = True

    def watch(self) -> None:
        """Somebody looks: previews are worth making for the next seconds."""
        self._watched = self._clock()

    def watched(self) -> bool:
        """Somebody looked in the last few seconds, so a preview is worth its time."""
        return self._clock() - self._watched < WATCH_SECONDS

    def _leave_if_abandoned(self) -> None:
        if self._abandoned:
            raise Abandoned

    def _swap(self, **changes: Any) -> None:
        """The counts changed: a new record with its fraction and eta (elapsed / fraction is the whole time)."""
        now = self._clock()
        record = dataclasses.replace(self._record, **changes, at=now)
        fraction = _fraction(record)
        eta = (now - self._begun) / fraction * (1 - fraction) if fraction > 0 else None
        self._record = dataclasses.replace(record, fraction=fraction, eta=eta)


def _fraction(record: Progress) -> float:
    """(batch + step / steps) / batches, as A1111 counts; 0..1."""
    if record.batches <= 0:
        return 0.0
    within = record.step / record.steps if record.steps > 0 else 0.0
    return min(1.0, max(0.0, (record.batch + within) / record.batches))
