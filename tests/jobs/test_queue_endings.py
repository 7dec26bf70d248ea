"""modules.jobs.queue: waiting, stopping and starting again, disks that refuse, tidying up."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from modules.core.errors import EaselError
from modules.core.store import Store, StoreError
from modules.core.types import JsonObject
from modules.jobs.progress import Control
from modules.jobs.queue import Job, Queue
from modules.jobs.table import Table
from tests.jobs.runners import WAIT, Gate, Make, echo


class BrokenStore(Store):
    """A store whose disk refuses every write while `broken`."""

    broken = False

    def connection(self) -> sqlite3.Connection:
        if self.broken:
            raise sqlite3.OperationalError("database or disk is full")
        return super().connection()


def test_wait_gives_up_after_its_timeout_and_a_late_waiter_returns_at_once(queue: Queue, gate: Gate) -> None:
    queue.submit("gate", {}, id="held")
    gate.enter()
    with pytest.raises(TimeoutError, match="held"):
        queue.wait("held", 0.05)
    gate.let_go()
    assert queue.wait("held", WAIT).final
    assert queue.wait("held", 0).final


def test_a_hundred_coroutines_wait_without_a_thread_each(queue: Queue, gate: Gate) -> None:
    async def all_of_them() -> list[Job]:
        queue.submit("gate", {}, id="held")
        before = threading.active_count()  # other tests may have left some
        waiting = [asyncio.ensure_future(queue.finished("held")) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert not any(future.done() for future in waiting)
        assert threading.active_count() < before + 20
        gate.let_go()
        return await asyncio.wait_for(asyncio.gather(*waiting), WAIT)

    jobs = asyncio.run(all_of_them())
    assert [job.state for job in jobs] == ["done"] * 100
    assert asyncio.run(queue.finished("held")).state == "done"


def test_a_coroutine_that_no_longer_waits_does_not_hurt_the_worker(queue: Queue, gate: Gate) -> None:
    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.finished("held"), 0.05)

    queue.submit("gate", {}, id="held")
    asyncio.run(given_up())
    gate.let_go()
    assert queue.wait("held", WAIT).state == "done"


def test_stop_tells_the_waiters_and_the_job_runs_at_the_next_start(make: Make, gate: Gate) -> None:
    first = make()
    first.start()
    first.submit("gate", {}, id="runs")
    gate.enter()
    first.submit("gate", {}, id="waits")
    told: list[str] = []

    def wait(id: str) -> None:
        try:
            first.wait(id, WAIT)
        except EaselError as error:
            told.append(str(error))

    threads = [threading.Thread(target=wait, args=(id,)) for id in ("runs", "waits")]
    for thread in threads:
        thread.start()
    first.stop(0.05)
    for thread in threads:
        thread.join(WAIT)
    assert len(told) == 2
    assert all("stays in the queue" in message for message in told)
    gate.let_go()
    first.stop(WAIT)
    assert first.get("runs").state == "done"
    gate.let_go()
    second = make()
    second.start()
    assert second.wait("waits", WAIT).state == "done"
    assert gate.ran == ["runs", "waits"]


def test_stop_does_not_wait_longer_than_told_and_does_not_count_the_attempt(make: Make, gate: Gate) -> None:
    queue = make()
    queue.start()
    queue.submit("gate", {}, id="hangs")
    gate.enter()
    before = time.monotonic()
    queue.stop(0.05)
    assert time.monotonic() - before < 5
    assert (queue.get("hangs").state, queue.get("hangs").attempts) == ("running", 0)
    with pytest.raises(RuntimeError, match="at work"):
        queue.start()
    gate.let_go()
    deadline = time.monotonic() + WAIT
    while not queue.get("hangs").final and time.monotonic() < deadline:
        time.sleep(0.01)
    assert queue.get("hangs").state == "done"


def test_two_workers_run_two_jobs_at_once(make: Make, gate: Gate) -> None:
    queue = make(workers=2)
    queue.start()
    for id in ("one", "two"):
        queue.submit("gate", {}, id=id)
    gate.enter()
    gate.enter()
    assert {job.id for job in queue.list(states=["running"])} == {"one", "two"}


def test_a_full_disk_refuses_a_job_with_words_and_takes_the_next_one(tmp_path: Path) -> None:
    store = BrokenStore(tmp_path / "easel.sqlite")
    queue = Queue(store, {"echo": echo})
    store.broken = True
    with pytest.raises(StoreError, match=r"easel\.sqlite failed: database or disk is full"):
        queue.submit("echo", {})
    store.broken = False
    assert queue.list() == []
    id = queue.submit("echo", {})
    queue.start()
    assert queue.wait(id, WAIT).state == "done"
    queue.stop(WAIT)
    store.close()


def test_a_result_that_the_disk_refuses_is_kept_in_memory_and_written_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "easel.sqlite")

    def limit(request: JsonObject, control: Control) -> JsonObject:
        pages = store.read("PRAGMA page_count")[0][0]  # the limit is one of the worker's own connection
        store.read(f"PRAGMA max_page_count = {request['pages'] or pages + 1}")
        return {"big": "x" * request["size"]}

    queue = Queue(store, {"limit": limit})
    queue.start()
    first = queue.submit("limit", {"pages": 0, "size": 200_000})
    assert queue.wait(first, WAIT).result == {"big": "x" * 200_000}
    assert [row["state"] for row in store.read("SELECT state FROM jobs")] == ["running"]
    assert queue.list()[0].state == "done"
    for _ in range(2):
        queue.wait(queue.submit("limit", {"pages": 100_000, "size": 1}), WAIT)
    queue.stop(WAIT)
    assert Table(store).get(first) == queue.get(first)
    assert [row["state"] for row in store.read("SELECT state FROM jobs")] == ["done"] * 3
    store.close()


def test_old_ended_jobs_are_pruned_and_told_about(make: Make, gate: Gate) -> None:
    pruned: list[str] = []
    queue = make(keep=3, on_pruned=lambda jobs: pruned.extend(job.id for job in jobs))
    queue.submit("gate", {}, id="pending", priority=-1)
    for index in range(6):
        queue.submit("echo", {}, id=f"job-{index}")
    queue.start()
    gate.enter()
    assert sorted(job.id for job in queue.list()) == ["job-3", "job-4", "job-5", "pending"]
    assert pruned == ["job-0", "job-1", "job-2"]


def test_tidying_that_fails_is_logged_and_the_worker_lives_on(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    def fail(jobs: list[Job]) -> None:
        raise OSError("no such folder")

    queue = make(keep=0, on_pruned=fail)
    queue.submit("echo", {}, id="one")
    queue.submit("echo", {}, id="two")
    with caplog.at_level(logging.ERROR):
        queue.start()
        queue.submit("gate", {}, id="last", priority=-1)
        deadline = time.monotonic() + WAIT
        while queue.list(states=["pending"]) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert queue.list(states=["pending"]) == []
    assert "no such folder" in caplog.text


def test_a_row_of_a_kind_that_nobody_runs_fails_with_words(make: Make) -> None:
    make(runners={"old": echo}).submit("old", {}, id="left")
    queue = make()
    queue.start()
    job = queue.wait("left", WAIT)
    assert job.state == "failed"
    assert 'kind "old"' in (job.error or "")
