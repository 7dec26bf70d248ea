"""Small runners for the tests of the queue: one that echoes, one that can be held, one that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modules.core.types import JsonObject
from modules.jobs.progress import Control
from modules.jobs.queue import Queue

WAIT = 20  # seconds, for what takes milliseconds unless something is broken
Make = Callable[..., Queue]  # the fixture "make": (runners=None, **options of Queue) -> Queue


class Gate:
    """A runner that holds each job until it is let go, and notes the order."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        self.ran: list[str] = []

    def __call__(self, request: JsonObject, control: Control) -> JsonObject:
        self.ran.append(control.job_id)
        self.entered.release()
        assert self.open.acquire(timeout=WAIT)
        return {"interrupted": control.interrupted}

    def enter(self) -> None:
        assert self.entered.acquire(timeout=WAIT)

    def let_go(self, count: int = 1) -> None:
        self.open.release(count)


class Fails:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, request: JsonObject, control: Control) -> JsonObject:
        raise self.error


def echo(request: JsonObject, control: Control) -> JsonObject:
    return {"echo": request}
