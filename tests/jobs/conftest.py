"""Queues over one database in a temporary folder, stopped when the test ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from modules.core.store import Store
from modules.jobs.queue import Queue, Runner
from tests.jobs.runners import WAIT, Gate, Make, echo


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def make(tmp_path: Path, gate: Gate) -> Iterator[Make]:
    """Queues over one database, with the runners "echo" and "gate"; stopped in the end."""
    store = Store(tmp_path / "easel.sqlite")
    queues: list[Queue] = []

    def build(runners: Mapping[str, Runner] | None = None, **options: Any) -> Queue:
        queue = Queue(store, {"echo": echo, "gate": gate, **(runners or {})}, **options)
        queues.append(queue)
        return queue

    yield build
    gate.let_go(1000)
    for queue in queues:
        queue.stop(WAIT)
    store.close()


@pytest.fixture
def queue(make: Make) -> Queue:
    made = make()
    made.start()
    return made
