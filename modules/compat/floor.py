"""`call_queue.queue_lock`: whoever holds it has the models to itself. Holding is a job like any other, so it waits its
turn in the one queue and shows in its lists.

The composition root makes a `Floor`, gives its `run` to the queue under `KIND` and opens it with that queue.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

from modules.core.errors import EaselError
from modules.core.types import JsonObject
from modules.jobs.worker import Worker

if TYPE_CHECKING:
    from modules.jobs.progress import Control
    from modules.jobs.queue import Queue

KIND = "extension"
LOOK_SECONDS = 0.2


class _Ticket:
    def __init__(self) -> None:
        self.granted = threading.Event()
        self.released = threading.Event()
        self.control: Control | None = None


class Floor:
    """A lock that may be taken again by the thread that has it; the queue's own worker has it always."""

    def __init__(self) -> None:
        self._queue: Queue | None = None
        self._tickets: dict[str, _Ticket] = {}
        self._mine = threading.local()

    def open(self, queue: Queue) -> None:
        """The queue in which holders wait."""
        self._queue = queue

    @property
    def control(self) -> Control | None:
        """The wire of the calling thread's hold."""
        return getattr(self._mine, "control", None)

    def run(self, job: JsonObject, control: Control) -> JsonObject:
        """The queue's runner: stand aside until the holder lets go."""
        ticket = self._tickets.pop(job["ticket"], None)
        if ticket is None:
            raise EaselError("An extension asked for this before Easel was restarted. Start it there again.")
        ticket.control = control
        control.begin(batches=1, steps=0)
        ticket.granted.set()
        while not ticket.released.wait(LOOK_SECONDS):
            control.batch(0)  # leaves where Easel ends
        return {"pictures": [], "info": {}, "comments": []}

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Wait for the turn -> True."""
        if isinstance(threading.current_thread(), Worker) or self._queue is None:
            return True
        depth = getattr(self._mine, "depth", 0)
        self._mine.depth = depth + 1
        if depth:
            return True
        ticket, name = _Ticket(), uuid.uuid4().hex
        self._tickets[name] = ticket
        id = self._queue.submit(KIND, {"asked": {}, "ticket": name})
        while not ticket.granted.wait(LOOK_SECONDS):
            if self._queue.get(id).final:
                self._mine.depth = 0
                raise EaselError("An extension's turn was cancelled before it came.")
        self._mine.ticket, self._mine.control = ticket, ticket.control
        return True

    def release(self) -> None:
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            return
        self._mine.depth = depth - 1
        if depth == 1:
            self._mine.ticket.released.set()
            self._mine.control = None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: Any) -> None:
        self.release()
