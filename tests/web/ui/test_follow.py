"""Following a job sees every stage once, asks for previews while it looks, and changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from modules.core.errors import NotFound
from modules.jobs.progress import Progress
from modules.web.ui.follow import FINAL_STATES, follow, newest
from tests.web.ui.fakes import World


class ScriptedQueue:
    """A queue that answers `progress` from a list, the last record again and again."""

    def __init__(self, *records: Progress) -> None:
        self.records = list(records)
        self.watched = 0

    def progress(self, id: str) -> Progress:
        return self.records.pop(0) if len(self.records) > 1 else self.records[0]

    def watch(self, id: str) -> None:
        self.watched += 1


async def at_once(seconds: float) -> None:
    """A sleep that takes no time."""


def seen(queue: ScriptedQueue, *, watch: bool = False) -> list[Progress]:
    async def collect() -> list[Progress]:
        return [record async for record in follow(queue, "a", watch=watch, sleep=at_once)]

    return asyncio.run(collect())


def record(state: str, step: int = 0) -> Progress:
    return Progress(job_id="a", state=state, step=step)


def test_every_change_is_seen_once_and_the_end_is_the_last() -> None:
    waiting, first, second = record("pending"), record("running", 1), record("running", 2)
    queue = ScriptedQueue(waiting, waiting, first, second, record("done"))
    states = [(progress.state, progress.step) for progress in seen(queue)]
    assert states == [("pending", 0), ("running", 1), ("running", 2), ("done", 0)]


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_every_final_state_ends_it(state: str) -> None:
    assert [progress.state for progress in seen(ScriptedQueue(record(state)))] == [state]


def test_previews_are_asked_for_only_by_those_who_look() -> None:
    looking, blind = (ScriptedQueue(record("running", 1), record("done")) for _ in range(2))
    seen(looking, watch=True)
    seen(blind, watch=False)
    assert looking.watched == 1
    assert blind.watched == 0


def test_an_unknown_job_is_not_found(make_world: Callable[..., World]) -> None:
    async def look() -> None:
        async for _ in follow(make_world().services.queue, "nonesuch", watch=False):
            raise AssertionError

    with pytest.raises(NotFound):
        asyncio.run(look())


def test_who_stops_looking_leaves_the_job_running(make_world: Callable[..., World]) -> None:
    made = make_world()
    made.painter.gate.clear()
    queue = made.services.queue
    job = queue.submit("txt2img", request(), owner="ui")

    async def look_once() -> None:
        async for progress in follow(queue, job, watch=True):
            if progress.state == "running":
                break

    asyncio.run(look_once())
    made.painter.gate.set()
    assert queue.wait(job, 10).state == "done"


def test_a_page_just_opened_sees_the_running_job_else_the_last_of_its_own(make_world: Callable[..., World]) -> None:
    made = make_world()
    queue = made.services.queue
    assert newest(queue, kind="txt2img", owner="ui") is None
    first = queue.submit("txt2img", request(), owner="ui")
    queue.wait(first, 10)
    queue.wait(queue.submit("txt2img", request(), owner="api"), 10)
    found = newest(queue, kind="txt2img", owner="ui")
    assert found is not None
    assert found.id == first
    made.painter.gate.clear()
    running = queue.submit("txt2img", request(), owner="ui")
    queue.submit("txt2img", request(), owner="ui")
    while queue.progress(running).state != "running":
        continue
    found = newest(queue, kind="txt2img", owner="ui")
    assert found is not None
    assert found.id == running


def request() -> dict[str, object]:
    from modules.generate.request import Txt2Img

    return dataclasses.replace(Txt2Img(), steps=3, width=64, height=64).to_json()
