"""Who wants to know that a job has ended: callbacks by job id. Called by queue.py."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Waiters:
    """Callbacks that are called when their job is told about, from the thread that tells. They must return at once."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    @contextlib.contextmanager
    def told(self, id: str, callback: Callable[[], None]) -> Iterator[None]:
        """While the block runs, `callback` is called for each `tell(id)`. Look at the job inside the block: what
        happened before it is not told again."""
        with self._guard:
            self._waiting.setdefault(id, []).append(callback)
        try:
            yield
        finally:
            with self._guard:
                self._waiting[id].remove(callback)
                if not self._waiting[id]:
                    del self._waiting[id]

    def tell(self, id: str) -> None:
        with self._guard:
            callbacks = list(self._waiting.get(id, ()))
        for callback in callbacks:
            callback()

    def tell_all(self) -> None:
        with self._guard:
            ids = list(self._waiting)
        for id in ids:
            self.tell(id)
