"""modules.jobs.together: alike jobs that wait are made in one go, and none suffers from another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from modules.core.errors import BadRequest
from modules.core.types import JsonObject
from modules.jobs.progress import Control
from modules.jobs.queue import Job, Queue
from modules.jobs.together import Together
from tests.jobs.runners import WAIT, Gate, Make


class Kitchen:
    """Makes several jobs in one go; a request says what goes wrong."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.singles: list[int] = []

    def alone(self, request: JsonObject, control: Control) -> JsonObject:
        self.singles.append(request["number"])
        return {"number": request["number"]}

    def together(
        self, requests: Sequence[JsonObject], controls: Sequence[Control]
    ) -> list[Callable[[], JsonObject]] | None:
        self.groups.append([request["number"] for request in requests])
        if any(request.get("unfit") for request in requests):
            return None
        if any(request.get("breaks") for request in requests):
            raise MemoryError("too many")
        return [functools.partial(self.finish, request) for request in requests]

    def finish(self, request: JsonObject) -> JsonObject:
        if request.get("full"):
            raise BadRequest("The disk is full.")
        return {"number": request["number"]}


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


def served(
    make: Make, gate: Gate, kitchen: Kitchen, orders: Sequence[tuple[str | None, JsonObject]], **more: Any
) -> Queue:
    """All orders wait behind one job -> the queue, when they are done."""
    group = Together(run=kitchen.together, room=lambda request: 2)
    queue: Queue = make({"dish": kitchen.alone}, together={"dish": group}, **more)
    queue.start()
    queue.submit("gate", {})
    gate.enter()
    for number, (alike, more) in enumerate(orders):
        queue.submit("dish", {"number": number, **more}, id=f"d{number}", together=alike)
    gate.let_go()
    for number in range(len(orders)):
        queue.wait(f"d{number}", WAIT)
    return queue


def test_alike_jobs_share_a_group_up_to_its_room(make: Make, gate: Gate, kitchen: Kitchen) -> None:
    queue = served(make, gate, kitchen, [("x", {}), ("y", {}), ("x", {}), (None, {}), ("x", {}), ("x", {}), (None, {})])
    assert kitchen.groups == [[0, 2, 4]]
    assert sorted(kitchen.singles) == [1, 3, 5, 6]
    for number in range(7):
        assert queue.get(f"d{number}").result == {"number": number}


@pytest.mark.parametrize("trouble", ["unfit", "breaks"])
def test_what_fails_together_is_made_alone(make: Make, gate: Gate, kitchen: Kitchen, trouble: str) -> None:
    queue = served(make, gate, kitchen, [("x", {}), ("x", {trouble: True})])
    assert kitchen.groups == [[0, 1]]
    assert kitchen.singles == [0, 1]
    assert [queue.get(f"d{number}").state for number in (0, 1)] == ["done", "done"]


def test_one_that_cannot_be_saved_fails_alone(make: Make, gate: Gate, kitchen: Kitchen) -> None:
    queue = served(make, gate, kitchen, [("x", {}), ("x", {"full": True})])
    assert [queue.get(f"d{number}").state for number in (0, 1)] == ["done", "failed"]
    assert queue.get("d1").error == "The disk is full."
    assert kitchen.singles == []


def test_all_of_a_group_have_their_answer_before_listeners_hear_of_one(
    make: Make, gate: Gate, kitchen: Kitchen
) -> None:
    queues: list[Queue] = []
    heard: dict[str, list[str]] = {}

    def kept(*arguments: Any, **more: Any) -> Queue:
        queues.append(make(*arguments, **more))
        return queues[0]

    def listen(job: Job) -> None:
        if job.kind == "dish":
            heard[job.id] = [queues[0].get(f"d{number}").state for number in range(3)]

    served(kept, gate, kitchen, [("x", {})] * 3, on_ended=[listen]).stop(WAIT)
    assert kitchen.groups == [[0, 1, 2]]
    assert heard == {f"d{number}": ["done"] * 3 for number in range(3)}
