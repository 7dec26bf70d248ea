"""modules.jobs.line: owners take turns, greater priority first, and what is promised is what is then taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.core.errors import BadRequest, NotFound
from modules.core.store import Store
from modules.jobs.line import Line, Waiting, fair
from modules.jobs.queue import Queue
from modules.jobs.table import Job, Table
from tests.jobs.runners import WAIT, Gate, Make


class World:
    """A table and its line, without a queue."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "easel.sqlite")
        self.table = Table(self.store)
        self.changes = 0
        self.line = Line(self.store, self._changed)
        self._count, self._now = 0, 0.0

    def _changed(self) -> None:
        self.changes += 1

    def submit(self, owner: str = "", priority: int = 0) -> str:
        self._count += 1
        id = f"{owner}{self._count}"
        job = Job(id=id, kind="k", state="pending", request={}, owner=owner, priority=priority, created=0.0)
        self.table.insert(job)
        return id

    def take(self) -> str | None:
        self._now += 1
        job = self.table.claim(0, self._now)
        return None if job is None else job.id


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.store.close()


def test_a_hundred_jobs_of_one_do_not_hold_up_the_single_one_of_another(world: World) -> None:
    many = [world.submit("a") for _ in range(100)]
    world.take()
    one = world.submit("b")
    assert world.take() == one
    assert world.take() == many[1]


@pytest.mark.parametrize("seed", range(6))
def test_the_order_that_is_shown_is_the_order_in_which_jobs_are_taken(world: World, seed: int) -> None:
    import random

    chance = random.Random(seed)
    for _ in range(30):
        world.submit(chance.choice("abc"), chance.randrange(2))
        if chance.random() < 0.2:
            world.take()
    shown, taken = world.line.order(0), []
    while (id := world.take()) is not None:
        taken.append(id)
    assert taken == shown


WAITING = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 1)), max_size=20)


@given(jobs=WAITING, turns=st.dictionaries(st.sampled_from("abc"), st.floats(0, 10)))
def test_everybody_comes_once_and_in_the_own_order(jobs: list[tuple[str, int]], turns: dict[str, float]) -> None:
    waiting = [Waiting(str(index), owner, priority, index) for index, (owner, priority) in enumerate(jobs)]
    order = fair(waiting, turns)
    assert sorted(order, key=int) == [each.id for each in waiting]
    facts = [waiting[int(id)] for id in order]
    assert [each.priority for each in facts] == sorted((each.priority for each in facts), reverse=True)
    for owner in "abc":
        for priority in (-1, 0, 1):
            own = [int(each.id) for each in facts if (each.owner, each.priority) == (owner, priority)]
            assert own == sorted(own)


def test_a_job_is_moved_before_another_and_takes_its_priority(world: World) -> None:
    a, b, c = (world.submit() for _ in range(3))
    world.line.move(c, before=a)
    assert world.line.order(0) == [c, a, b]
    world.line.prioritize(b, 7)
    world.line.move(a, before=b)
    assert world.line.order(0) == [a, b, c]
    assert world.table.get(a).priority == 7  # type: ignore[union-attr]
    world.line.move(a)
    assert world.line.order(0) == [b, a, c]
    assert world.changes == 4


def test_only_what_waits_can_be_moved(world: World) -> None:
    running = world.submit()
    world.take()
    with pytest.raises(BadRequest, match="running"):
        world.line.move(running)
    with pytest.raises(NotFound):
        world.line.prioritize("nobody", 1)
    with pytest.raises(BadRequest):
        world.line.prioritize(world.submit(), 10**9)


def test_a_pause_holds_over_a_restart(make: Make, gate: Gate) -> None:
    first = make()
    first.line.pause()
    first.start()
    id = first.submit("gate", {})
    first.stop(WAIT)
    second: Queue = make()
    second.start()
    assert second.line.paused
    assert second.get(id).state == "pending"
    gate.let_go()
    second.line.resume()
    assert second.wait(id, WAIT).state == "done"


def test_jobs_tell_their_changes_in_order_each_once(make: Make) -> None:
    queue: Queue = make()
    one = queue.submit("echo", {})
    two = queue.submit("echo", {})
    queue.cancel(two)
    queue.start()
    queue.wait(one, WAIT)
    told = [(event.job_id, event.type) for event in queue.events.after(0)]
    assert told == [(one, "queued"), (two, "queued"), (two, "cancelled"), (one, "started"), (one, "done")]
    numbers = [event.number for event in queue.events.after(0)]
    assert numbers == sorted(set(numbers))
    assert queue.events.after(numbers[-1]) == []
    assert queue.events.last() == numbers[-1]


def test_retry_makes_the_same_work_once_more(queue: Queue, gate: Gate) -> None:
    id = queue.submit("gate", {"seed": 7}, owner="a", priority=3)
    gate.enter()
    with pytest.raises(BadRequest):
        queue.retry(id)
    gate.let_go(2)
    queue.wait(id, WAIT)
    again = queue.retry(id)
    job = queue.wait(again, WAIT)
    assert (job.request, job.owner, job.priority, job.state) == ({"seed": 7}, "a", 3, "done")
