"""modules.jobs.queue: every job ends in one final state, once; order, failures, flags, ids, progress."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.core.errors import BadRequest, EaselError, Interrupted, NoCheckpoint, NotFound
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.jobs.progress import Control
from modules.jobs.queue import Job, Queue
from tests.jobs.runners import WAIT, Fails, Gate, Make


def test_what_is_submitted_can_be_got_before_anything_runs(make: Make) -> None:
    request = {"prompt": "a cät \U0001f600", "odd": "\ud800", "steps": 20, "nested": {"list": [1, None, 2.5, True]}}
    queue = make(now=lambda: 1234.5)
    id = queue.submit("echo", request, owner="ui", priority=3)
    job = queue.get(id)
    facts = {"kind": "echo", "state": "pending", "owner": "ui", "priority": 3, "created": 1234.5}
    assert job == Job(id=id, request=request, **facts)  # and every other field as it is by default
    assert queue.list() == [job]


def test_it_runs_and_its_result_is_there(queue: Queue) -> None:
    job = queue.wait(queue.submit("echo", {"a": [1]}), WAIT)
    assert (job.state, job.result, job.error) == ("done", {"echo": {"a": [1]}}, None)
    assert job.created <= (job.started or 0) <= (job.finished or 0)
    assert queue.get(job.id) == job


def test_eight_threads_with_fifty_jobs_each_end_each_job_in_one_final_state_once(make: Make) -> None:
    runs: Counter[str] = Counter()
    ended: Counter[str] = Counter()

    def sometimes(request: JsonObject, control: Control) -> JsonObject:
        runs[control.job_id] += 1
        if request["fate"] == "fails":
            raise EaselError("no luck")
        return {}

    queue = make(runners={"sometimes": sometimes})
    queue.start()
    fates: dict[str, str] = {}

    def submit(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(50):
            fate = chance.choice(["runs", "fails", "cancelled"])
            id = queue.submit("sometimes", {"fate": fate}, priority=chance.randrange(3))
            fates[id] = fate
            if fate == "cancelled" and queue.cancel(id):
                ended[id] += 1

    threads = [threading.Thread(target=submit, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs = [queue.wait(id, WAIT) for id in fates]
    assert len(jobs) == 400
    for job in jobs:
        allowed = {"runs": {"done"}, "fails": {"failed"}, "cancelled": {"cancelled", "done"}}[fates[job.id]]
        assert job.state in allowed
        assert runs[job.id] + ended[job.id] == 1, "it ran, or it was cancelled, never both nor twice"
        assert (job.state == "cancelled") == (ended[job.id] == 1)


def test_twenty_concurrent_submits_run_by_priority_then_in_the_order_of_submission(queue: Queue, gate: Gate) -> None:
    queue.submit("gate", {}, id="first")
    gate.enter()

    def submit(priority: int) -> None:
        for index in range(5):
            queue.submit("gate", {}, id=f"{priority}-{index}", priority=priority)

    threads = [threading.Thread(target=submit, args=(priority,)) for priority in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = [f"{priority}-{index}" for priority in (3, 2, 1, 0) for index in range(5)]
    assert [queue.progress(id).queue_position for id in line] == list(range(1, 21))
    gate.let_go(21)
    for id in line:
        queue.wait(id, WAIT)
    assert gate.ran == ["first", *line]


def test_list_filters_by_state_and_owner_and_orders_by_submission(queue: Queue, gate: Gate) -> None:
    ids = [queue.submit("echo", {}, owner=owner) for owner in ("ui", "api", "ui")]
    for id in ids:
        queue.wait(id, WAIT)
    queue.submit("gate", {}, id="runs", owner="ui")
    gate.enter()
    queue.submit("gate", {}, id="waits")
    assert [job.id for job in queue.list(owner="ui")] == ["runs", ids[2], ids[0]]
    assert [job.id for job in queue.list(owner="ui", states=["done"], newest_first=False)] == [ids[0], ids[2]]
    assert [job.id for job in queue.list(states=["running", "pending"])] == ["waits", "runs"]
    assert [job.id for job in queue.list(limit=1)] == ["waits"]


def test_an_easel_error_fails_the_job_with_its_message_and_field(make: Make) -> None:
    bad = Fails(BadRequest("steps must be 1 or more.", field="steps"))
    queue = make(runners={"bad": bad, "none": Fails(NoCheckpoint("Put one there."))})
    queue.start()
    job = queue.wait(queue.submit("bad", {}), WAIT)
    assert (job.state, job.error, job.error_type, job.error_field) == (
        "failed",
        "steps must be 1 or more.",
        "BadRequest",
        "steps",
    )
    job = queue.wait(queue.submit("none", {}), WAIT)
    assert (job.error, job.error_type, job.error_field) == ("Put one there.", "NoCheckpoint", None)


@pytest.mark.parametrize("runner", [Fails(ZeroDivisionError("oh")), lambda request, control: {"not json": object()}])
def test_any_other_error_fails_the_job_is_logged_and_the_worker_lives_on(
    make: Make, caplog: pytest.LogCaptureFixture, runner: Callable[[JsonObject, Control], JsonObject]
) -> None:
    queue = make(runners={"bad": runner})
    queue.start()
    with caplog.at_level(logging.ERROR):
        job = queue.wait(queue.submit("bad", {}), WAIT)
    assert job.state == "failed"
    assert (job.error or "").startswith(f"Unexpected {job.error_type}: ")
    assert "Traceback" in caplog.text
    assert queue.wait(queue.submit("echo", {}), WAIT).state == "done"


def test_an_interrupt_that_the_runner_lets_through_cancels_the_job(make: Make) -> None:
    queue = make(runners={"stops": Fails(Interrupted())})
    queue.start()
    assert queue.wait(queue.submit("stops", {}), WAIT).state == "cancelled"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("signal", [SystemExit(1), KeyboardInterrupt()])
def test_what_ends_the_process_is_not_swallowed_and_nobody_waits_for_ever(make: Make, signal: BaseException) -> None:
    queue = make(runners={"exits": Fails(signal)})
    after = queue.submit("echo", {}, priority=-1)
    job_id = queue.submit("exits", {})
    queue.start()
    job = queue.wait(job_id, WAIT)
    assert (job.state, job.error_type) == ("failed", type(signal).__name__)
    with pytest.raises(EaselError, match="next start"):
        queue.wait(after, WAIT)
    with pytest.raises(EaselError, match=f"ended by {type(signal).__name__}"):
        queue.submit("echo", {})
    queue.stop(WAIT)
    queue.start()
    assert queue.wait(after, WAIT).state == "done"


def test_interrupting_a_running_job_sets_its_flag_and_touches_no_other(queue: Queue, gate: Gate) -> None:
    queue.submit("gate", {}, id="runs")
    gate.enter()
    queue.submit("gate", {}, id="waits")
    queue.interrupt("runs")
    assert queue.progress("runs").interrupted
    gate.let_go(2)
    assert queue.wait("runs", WAIT).result == {"interrupted": True}
    assert queue.wait("waits", WAIT).result == {"interrupted": False}


def test_interrupt_without_an_id_means_what_runs_now(queue: Queue, gate: Gate) -> None:
    queue.interrupt()  # nothing runs: nothing happens
    queue.submit("gate", {}, id="runs")
    gate.enter()
    queue.submit("gate", {}, id="waits")
    queue.interrupt()
    gate.let_go(2)
    assert queue.wait("runs", WAIT).result == {"interrupted": True}
    assert queue.wait("waits", WAIT).result == {"interrupted": False}


def test_interrupting_or_cancelling_a_pending_job_takes_it_out(queue: Queue, gate: Gate) -> None:
    queue.submit("gate", {}, id="runs")
    gate.enter()
    for id in ("one", "two"):
        queue.submit("gate", {}, id=id)
    queue.interrupt("one")
    assert queue.cancel("two")
    assert not queue.cancel("two")
    assert not queue.cancel("runs")
    assert [queue.wait(id, WAIT).state for id in ("one", "two")] == ["cancelled", "cancelled"]
    gate.let_go()
    queue.wait("runs", WAIT)
    assert gate.ran == ["runs"]


def test_skip_is_cleared_when_the_next_batch_begins(make: Make) -> None:
    entered, go, seen = threading.Event(), threading.Event(), []

    def batches(request: JsonObject, control: Control) -> JsonObject:
        control.begin(batches=2, steps=4)
        control.batch(0)
        entered.set()
        assert go.wait(WAIT)
        seen.append(control.skipped)
        control.batch(1)
        seen.append(control.skipped)
        return {}

    queue = make(runners={"batches": batches})
    queue.start()
    id = queue.submit("batches", {})
    assert entered.wait(WAIT)
    waiting = queue.submit("batches", {})
    queue.skip(waiting)  # does not run: nothing happens
    assert not queue.progress(id).skipped
    queue.skip()
    assert queue.progress(id).skipped
    go.set()
    assert queue.wait(id, WAIT).state == "done"
    assert seen[:2] == [True, False]


def test_unknown_ids_and_kinds_are_not_found(queue: Queue) -> None:
    for ask in (queue.get, queue.wait, queue.progress, queue.cancel, queue.interrupt, queue.skip):
        with pytest.raises(NotFound, match='Job "nobody"'):
            ask("nobody")
    with pytest.raises(NotFound, match=r'"ecco".*"echo"'):
        queue.submit("ecco", {})
    assert queue.list() == []


def test_the_same_work_with_the_same_id_is_queued_once(queue: Queue) -> None:
    assert queue.submit("echo", {"a": 1, "b": 2}, id="task(abc)") == "task(abc)"
    assert queue.submit("echo", {"b": 2, "a": 1}, id="task(abc)") == "task(abc)"
    queue.wait("task(abc)", WAIT)
    assert queue.submit("echo", {"a": 1, "b": 2}, id="task(abc)") == "task(abc)"
    assert len(queue.list()) == 1
    for kind, request in (("echo", {"a": 2}), ("gate", {"a": 1, "b": 2})):
        with pytest.raises(BadRequest, match=r"task\(abc\)") as caught:
            queue.submit(kind, request, id="task(abc)")
        assert caught.value.field == "force_task_id"


@pytest.mark.parametrize("id", ["", "../../etc", "a/b", "a\\b", ".hidden", "a b", "x" * 129, "a\n", "ä", "a:b"])
def test_an_id_that_cannot_be_a_folders_name_is_refused(queue: Queue, id: str) -> None:
    with pytest.raises(BadRequest) as caught:
        queue.submit("echo", {}, id=id)
    assert caught.value.field == "force_task_id"


def test_progress_of_a_pending_a_running_and_an_ended_job(queue: Queue, gate: Gate) -> None:
    assert queue.current() is None
    queue.submit("gate", {}, id="runs")
    gate.enter()
    queue.submit("gate", {}, id="waits")
    queue.submit("gate", {}, id="later")
    running = queue.current()
    assert running is not None
    assert (running.job_id, running.state, running.queue_position) == ("runs", "running", 0)
    assert running.started == queue.get("runs").started
    waiting = [queue.progress(id) for id in ("waits", "later")]
    assert [(one.state, one.queue_position, one.fraction) for one in waiting] == [("pending", 1, 0), ("pending", 2, 0)]
    gate.let_go(3)
    queue.wait("later", WAIT)
    done = queue.progress("runs")
    assert (done.state, done.fraction, done.queue_position) == ("done", 1, 0)


def test_reading_progress_never_waits_for_the_runner_or_for_a_writer(make: Make, tmp_path: Path) -> None:
    reads, slowest = 0, 0.0

    def holds(request: JsonObject, control: Control) -> JsonObject:
        nonlocal reads, slowest
        reader_ended = threading.Event()

        def read() -> None:
            nonlocal reads, slowest
            for _ in range(200):
                before = time.monotonic()
                assert queue.progress("held").state == "running"
                assert queue.progress("waits").queue_position == 1
                assert queue.current() is not None
                slowest = max(slowest, time.monotonic() - before)
                reads += 1
            reader_ended.set()

        with store.transaction():  # a writer that does not end while they read
            threading.Thread(target=read).start()
            assert reader_ended.wait(WAIT)
        return {}

    store = Store(tmp_path / "easel.sqlite")
    queue = make(runners={"holds": holds})
    queue.submit("holds", {}, id="held")
    queue.submit("echo", {}, id="waits")
    queue.start()
    assert queue.wait("held", WAIT * 2).state == "done"
    store.close()
    assert reads == 200
    assert slowest < 2, "seconds; a reader that waited for the writer would never have ended"


def test_watching_is_heard_by_the_runner_and_forgotten_after_five_seconds(make: Make, gate: Gate) -> None:
    clock = [100.0]
    controls: list[Control] = []

    def keeps(request: JsonObject, control: Control) -> JsonObject:
        controls.append(control)
        return gate(request, control)

    queue = make(runners={"keeps": keeps}, clock=lambda: clock[0])
    queue.start()
    queue.submit("keeps", {}, id="seen")
    gate.enter()
    queue.watch("nobody")
    assert not controls[0].watched()
    queue.watch("seen")
    assert controls[0].watched()
    clock[0] += 5.1
    assert not controls[0].watched()
