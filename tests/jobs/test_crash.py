"""Nothing is lost: a queue's process is killed at random moments, and every job that was submitted ends done."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modules.core.store import Store
from modules.core.types import JsonObject
from modules.jobs.progress import Control
from modules.jobs.queue import Queue

ROOT = Path(__file__).parents[2]
KILLS = 12

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")


def start(database: Path, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("killed_queue.py")), str(ROOT), str(database), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen[str], seconds: float) -> list[str]:
    """The ids that the process said it had submitted before it was killed, some time after its first finished job."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("done"):
            break
    time.sleep(seconds)
    process.kill()
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [words[1] for words in whole if words[0] == "id"]


def quick(request: JsonObject, control: Control) -> JsonObject:
    return {"answer": request.get("number")}


def test_every_job_of_a_queue_that_was_killed_again_and_again_ends_done(tmp_path: Path) -> None:
    database = tmp_path / "easel.sqlite"
    chance = random.Random(20)
    submitted: list[str] = []
    for _ in range(KILLS):
        submitted += kill_after(start(database, "submit"), chance.uniform(0, 0.15))
    store = Store(database)
    queue = Queue(store, {"sleep": quick})
    before = {job.id: job for job in queue.list(limit=10_000)}
    queue.start()
    assert len(submitted) > KILLS
    assert set(submitted) <= set(before)
    for id in before:
        job = queue.wait(id, 30)
        assert job.state == "done"
        assert job.result == {"answer": job.request["number"]}
    assert any(job.attempts > 1 for job in queue.list(limit=10_000)), "no kill met a running job"
    assert {id for id, job in before.items() if job.state == "done"}, "nothing was done before the last kill"
    assert not list(tmp_path.glob("*.broken-*"))
    queue.stop(10)
    store.close()


def test_a_job_that_kills_the_process_three_times_is_failed_and_the_next_one_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "easel.sqlite")
    queue = Queue(store, {"sleep": quick})
    poison = queue.submit("sleep", {"poison": True})
    after = queue.submit("sleep", {"number": 7})
    for _ in range(3):
        process = start(store.path, "work")
        assert process.wait(30) == -9
        assert process.stdout is not None
        process.stdout.close()
        assert (queue.get(poison).state, queue.get(after).state) == ("running", "pending")
    queue.start()
    assert queue.wait(after, 10).result == {"answer": 7}
    failed = queue.get(poison)
    assert failed.state == "failed"
    assert "killed 3 times" in (failed.error or "")
    queue.stop(10)
    store.close()


def test_two_living_processes_leave_each_others_jobs_alone(tmp_path: Path) -> None:
    process = start(tmp_path / "easel.sqlite", "submit")
    assert process.stdout is not None
    theirs = process.stdout.readline().split()[1]
    store = Store(tmp_path / "easel.sqlite")
    queue = Queue(store, {"sleep": lambda request, control: {"answer": "ours"}})
    queue.start()
    ours = queue.submit("sleep", {})
    assert queue.wait(ours, 10).result == {"answer": "ours"}
    deadline = time.monotonic() + 10
    while not queue.get(theirs).final and time.monotonic() < deadline:
        time.sleep(0.01)
    assert queue.get(theirs).result == {"answer": 0}
    process.kill()
    process.wait()
    process.stdout.close()
    queue.stop(10)
    queue.start()  # and what the dead one left is ours now
    for job in queue.list(limit=10_000):
        assert queue.wait(job.id, 10).state == "done"
    queue.stop(10)
    store.close()
