"""modules.jobs.table against a model in plain Python: whatever is done in whatever order, a job ends once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modules.core.errors import BadRequest
from modules.core.store import Store
from modules.jobs.line import Line
from modules.jobs.table import CLAIM, MAX_ATTEMPTS, Job, Table


def pending(id: str, priority: int = 0, created: float = 0.0) -> Job:
    return Job(id=id, kind="k", state="pending", request={"id": id}, priority=priority, created=created)


class Jobs(RuleBasedStateMachine):
    """The model: a state for each id, and when each one ended."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "easel.sqlite")
        self.store.read("PRAGMA synchronous = OFF")
        self.table = Table(self.store)
        self.state: dict[str, str] = {}
        self.priority: dict[str, int] = {}
        self.attempts: dict[str, int] = {}
        self.ended: list[str] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def line(self) -> list[str]:
        waiting = [id for id in self.state if self.state[id] == "pending"]
        return sorted(waiting, key=lambda id: -self.priority[id])  # stable: then by submission

    @rule(priority=st.integers(-1, 1))
    def submit(self, priority: int) -> None:
        id = f"job-{len(self.state)}"
        assert self.table.insert(pending(id, priority))
        assert not self.table.insert(pending(id, priority))
        self.state[id], self.priority[id], self.attempts[id] = "pending", priority, 0

    @rule()
    def claim(self) -> None:
        job = self.table.claim(1, 5.0)
        line = self.line()
        assert (job.id if job else None) == (line[0] if line else None)
        if job is not None:
            self.state[job.id] = "running"
            self.attempts[job.id] += 1
            assert (job.state, job.attempts) == ("running", self.attempts[job.id])

    @precondition(lambda self: self.state)
    @rule(data=st.data(), outcome=st.sampled_from(["done", "failed", "cancelled"]))
    def finish(self, data: st.DataObject, outcome: str) -> None:
        id = data.draw(st.sampled_from(sorted(self.state)))
        ended = Job(id=id, kind="k", state=outcome, request={}, created=0.0, finished=9.0)
        changed = self.table.finish(ended)
        assert changed == (self.state[id] == "running")
        if changed:
            self.state[id] = outcome
            self.ended.append(id)

    @precondition(lambda self: self.state)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.state)))
        changed = self.table.cancel(id, 9.0)
        assert changed == (self.state[id] == "pending")
        if changed:
            self.state[id] = "cancelled"
            self.ended.append(id)

    @rule()
    def die_and_start_again(self) -> None:
        self.table.recover(1, {0, 1}, 9.0)
        for id, state in self.state.items():
            if state == "running" and self.attempts[id] >= MAX_ATTEMPTS:
                self.state[id] = "failed"
                self.ended.append(id)
            elif state == "running":
                self.state[id] = "pending"

    @invariant()
    def the_table_says_what_the_model_says(self) -> None:
        jobs = self.table.list(states=(), owner=None, limit=-1, newest_first=False)
        assert {job.id: job.state for job in jobs} == self.state
        assert {job.id for job in jobs if job.finished is not None} == set(self.ended)
        assert len(self.ended) == len(set(self.ended))

    @invariant()
    def positions_are_the_line(self) -> None:
        slots = {job.slot for job in self.table.list(states=["pending"], owner=None, limit=-1, newest_first=False)}
        if len(slots) <= 1:
            line = self.line()
            assert Line(self.store, lambda: None).order(1) == line


Jobs.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestJobs = Jobs.TestCase


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    store = Store(tmp_path / "easel.sqlite")
    yield Table(store)
    store.close()


def test_an_id_with_other_work_is_a_bad_request(table: Table) -> None:
    table.insert(pending("one"))
    with pytest.raises(BadRequest):
        table.insert(Job(id="one", kind="other", state="pending", request={"id": "one"}, created=0.0))
    assert table.get("one") == pending("one")


def test_jobs_of_another_living_process_are_neither_claimed_nor_recovered(table: Table) -> None:
    other = Job(id="theirs", kind="k", state="pending", request={}, created=0.0, slot=2)
    table.insert(other)
    table.recover(1, {0, 1}, 9.0)
    assert table.claim(1, 5.0) is None
    assert table.slots() == {2}
    assert table.claim(2, 5.0) is not None
    table.recover(1, {0, 1, 2}, 9.0)
    assert table.get("theirs").slot == 1  # type: ignore[union-attr]


def test_prune_keeps_the_last_to_end_and_everything_unfinished(table: Table) -> None:
    for index, finished in enumerate([5.0, 1.0, 3.0]):
        table.insert(pending(f"job-{index}"))
        table.cancel(f"job-{index}", finished)
    table.insert(pending("waits"))
    assert {job.id for job in table.prune(1)} == {"job-1", "job-2"}
    assert table.prune(1) == []
    assert [job.id for job in table.prune(0)] == ["job-0"]
    assert table.get("waits") is not None


def test_the_next_job_is_found_by_an_index(table: Table) -> None:
    plan = table._store.read(f"EXPLAIN QUERY PLAN {CLAIM}", {"slot": 1, "now": 0.0})
    steps = [row["detail"] for row in plan]
    assert any("jobs_line" in step for step in steps)
    assert not [step for step in steps if step.startswith("SCAN jobs") and "INDEX" not in step]
