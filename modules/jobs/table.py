"""The jobs as rows: every change of a job's state is one statement here. Called by queue.py only."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Collection
from typing import Literal, TypeAlias

from modules.core.errors import BadRequest
from modules.core.store import Store
from modules.core.types import JsonObject

State: TypeAlias = Literal["pending", "running", "done", "failed", "cancelled"]
FINAL: frozenset[State] = frozenset({"done", "failed", "cancelled"})
MAX_ATTEMPTS = 3  # a job that was running when the process died this often is not tried again
UNFINISHED = "state IN ('pending', 'running')"

SCHEMA = [
    """
    CREATE TABLE jobs (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        request TEXT NOT NULL,
        result TEXT,
        error TEXT,
        error_type TEXT,
        error_field TEXT,
        owner TEXT NOT NULL,
        priority INTEGER NOT NULL,
        created REAL NOT NULL,
        started REAL,
        finished REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        slot INTEGER NOT NULL
    );
    CREATE INDEX jobs_line ON jobs (state, priority DESC, sequence);
    CREATE INDEX jobs_owner ON jobs (owner, sequence);
    CREATE INDEX jobs_finished ON jobs (finished) WHERE finished IS NOT NULL;
    """,
    """
    ALTER TABLE jobs ADD COLUMN rank REAL NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN together TEXT;
    UPDATE jobs SET rank = sequence;
    DROP INDEX jobs_line;
    CREATE INDEX jobs_line ON jobs (state, priority DESC, owner, rank);
    CREATE INDEX jobs_turn ON jobs (owner, started);
    CREATE INDEX jobs_together ON jobs (together) WHERE together IS NOT NULL;
    CREATE TABLE switches (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        type TEXT NOT NULL,
        at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
    );
    CREATE INDEX events_job ON events (job_id);
    CREATE TRIGGER jobs_came AFTER INSERT ON jobs BEGIN
        UPDATE jobs SET rank = NEW.sequence WHERE sequence = NEW.sequence;
        INSERT INTO events (job_id, type) VALUES (NEW.id, 'queued');
    END;
    CREATE TRIGGER jobs_changed AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN
        INSERT INTO events (job_id, type) VALUES (
            NEW.id, CASE NEW.state WHEN 'pending' THEN 'queued' WHEN 'running' THEN 'started' ELSE NEW.state END
        );
    END;
    CREATE TRIGGER jobs_went AFTER DELETE ON jobs BEGIN
        DELETE FROM events WHERE job_id = OLD.id;
    END;
    """,
]
"""rank: a job's place among those of its owner. together: jobs with the same text may be made in one batch. Triggers
write the events, so that no change of a state is without one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work as it was at the moment of reading. Times are unix seconds.

    result is there when state is "done"; error (a whole message), error_type (a class name) and error_field (the
    request field at fault, if any) when it is "failed". Greater priority runs first. attempts counts the starts;
    slot is the number of the Easel process that has it (0: none yet). number counts submissions; rank is the place
    among the owner's jobs; together: jobs with the same text may be made in one batch (None: this one alone).
    """

    id: str
    kind: str
    state: State
    request: JsonObject
    result: JsonObject | None = None
    error: str | None = None
    error_type: str | None = None
    error_field: str | None = None
    owner: str = ""
    priority: int = 0
    created: float
    started: float | None = None
    finished: float | None = None
    attempts: int = 0
    slot: int = 0
    together: str | None = None
    number: int = dataclasses.field(default=0, compare=False)
    rank: float = dataclasses.field(default=0.0, compare=False)

    @property
    def final(self) -> bool:
        """True when nothing will change any more."""
        return self.state in FINAL


Jobs: TypeAlias = "list[Job]"  # inside a class that has a method `list`


CLAIM = """
    WITH ready AS (SELECT * FROM jobs WHERE state = 'pending' AND slot IN (0, :slot)),
         owners AS (SELECT owner, min(rank) AS first FROM ready
                    WHERE priority = (SELECT max(priority) FROM ready) GROUP BY owner),
         turn AS (SELECT owner, first FROM owners ORDER BY
                  (SELECT max(started) FROM jobs AS had WHERE had.owner = owners.owner) NULLS FIRST, first LIMIT 1)
    UPDATE jobs SET state = 'running', started = :now, attempts = attempts + 1, slot = :slot
    WHERE sequence = (SELECT sequence FROM ready, turn WHERE ready.owner = turn.owner AND ready.rank = turn.first
                      ORDER BY priority DESC, sequence LIMIT 1)
    RETURNING *
"""
"""Greatest priority, then the owner who waited longest for a turn, then that owner's first. Named: slot, now."""


class Table:
    """The table of jobs. Every method is one transaction or one read; each raises `StoreError` if the disk fails.

    `insert`, `claim` and `finish` are on the disk after `Store.sync`, which the queue calls where nobody waits for it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        store.migrate("jobs", SCHEMA)

    def insert(self, job: Job) -> bool:
        """A new pending row -> True; False when the same work has this id already. `BadRequest`: other work has it."""
        request = json.dumps(job.request)
        with self._store.transaction(synced=False) as connection:
            row = connection.execute("SELECT kind, request FROM jobs WHERE id = ?", (job.id,)).fetchone()
            if row is not None:
                if (row["kind"], _canonical(row["request"])) == (job.kind, _canonical(request)):
                    return False
                raise BadRequest(
                    f'There is another job with the id "{job.id}": leave force_task_id empty, or choose a new one.',
                    field="force_task_id",
                )
            connection.execute(
                "INSERT INTO jobs (id, kind, state, request, owner, priority, created, slot, together)"
                " VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
                (job.id, job.kind, request, job.owner, job.priority, job.created, job.slot, job.together),
            )
        return True

    def get(self, id: str) -> Job | None:
        rows = self._store.read("SELECT * FROM jobs WHERE id = ?", (id,))
        return _job(rows[0]) if rows else None

    def list(
        self,
        *,
        states: Collection[str],
        owner: str | None,
        limit: int,
        newest_first: bool,
        kinds: Collection[str] = (),
        beyond: int | None = None,
    ) -> Jobs:
        """By order of submission. No states or kinds means all; beyond: only those behind the one of this number."""
        conditions, parameters = ["1"], list[str | int]()
        for column, wanted in (("state", states), ("kind", kinds)):
            if wanted:
                conditions.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                parameters += wanted
        if owner is not None:
            conditions.append("owner = ?")
            parameters.append(owner)
        if beyond is not None:
            conditions.append("sequence < ?" if newest_first else "sequence > ?")
            parameters.append(beyond)
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)} ORDER BY sequence {order} LIMIT ?"
        return [_job(row) for row in self._store.read(sql, [*parameters, limit])]

    def claim(self, slot: int, now: float) -> Job | None:
        """The next pending job of this slot becomes running: see `line.Line`."""
        with self._store.transaction(synced=False) as connection:
            rows = connection.execute(CLAIM, {"slot": slot, "now": now}).fetchall()
        return _job(rows[0]) if rows else None

    def claim_alike(self, job: Job, most: int, now: float) -> Jobs:
        """Up to `most` pending jobs that may be made together with this running one become running too."""
        if job.together is None or most < 1:
            return []
        sql = (
            "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1, slot = ? WHERE sequence IN"
            " (SELECT sequence FROM jobs WHERE together = ? AND kind = ? AND state = 'pending' AND slot IN (0, ?)"
            " ORDER BY priority DESC, rank LIMIT ?) RETURNING *"
        )
        with self._store.transaction(synced=False) as connection:
            rows = connection.execute(sql, (now, job.slot, job.together, job.kind, job.slot, most)).fetchall()
        return sorted((_job(row) for row in rows), key=lambda each: each.rank)

    def cancel(self, id: str, now: float) -> bool:
        """pending -> cancelled; False when it was not pending."""
        sql = "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'pending'"
        return self._store.write(sql, (now, id)) == 1

    def finish(self, job: Job) -> bool:
        """running -> the final state that `job` has; False when it was not running."""
        sql = (
            "UPDATE jobs SET state = ?, result = ?, error = ?, error_type = ?, error_field = ?, finished = ?"
            " WHERE id = ? AND state = 'running'"
        )
        result = None if job.result is None else json.dumps(job.result)
        outcome = (job.state, result, job.error, job.error_type, job.error_field, job.finished)
        return self._store.write(sql, (*outcome, job.id), synced=False) == 1

    def slots(self) -> set[int]:
        """The processes that have unfinished jobs."""
        return {row["slot"] for row in self._store.read(f"SELECT DISTINCT slot FROM jobs WHERE {UNFINISHED}")}

    def recover(self, slot: int, dead: Collection[int], now: float) -> None:
        """Take over the unfinished jobs of `dead` processes: what was running is pending again, or failed."""
        places = ", ".join("?" * len(dead))
        message = (
            f"Easel was killed {MAX_ATTEMPTS} times while this job ran, so it is not tried again. The system may have"
            " run out of memory: try a smaller picture or batch."
        )
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET state = 'failed', error = ?, error_type = 'EaselError', finished = ?"
                f" WHERE state = 'running' AND attempts >= ? AND slot IN ({places})",
                (message, now, MAX_ATTEMPTS, *dead),
            )
            connection.execute(
                "UPDATE jobs SET state = 'pending', started = NULL, slot = ?"
                f" WHERE {UNFINISHED} AND slot IN ({places})",
                (slot, *dead),
            )

    def forgive(self, id: str) -> None:
        """Do not count the running attempt: Easel stops on purpose."""
        self._store.write("UPDATE jobs SET attempts = attempts - 1 WHERE id = ? AND state = 'running'", (id,))

    def prune(self, keep: int) -> Jobs:
        """Delete all finished jobs but the `keep` (>= 0) that finished last -> the deleted ones."""
        with self._store.transaction(synced=False) as connection:
            rows = connection.execute(
                "DELETE FROM jobs WHERE sequence IN (SELECT sequence FROM jobs WHERE finished IS NOT NULL"
                " ORDER BY finished DESC, sequence DESC LIMIT -1 OFFSET ?) RETURNING *",
                (keep,),
            ).fetchall()
        return [_job(row) for row in rows]


def _canonical(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def _job(row: sqlite3.Row) -> Job:
    facts = {name: row[name] for name in row.keys()}  # noqa: SIM118  (a Row iterates its values)
    facts["number"] = facts.pop("sequence")
    facts["request"] = json.loads(row["request"])
    facts["result"] = None if row["result"] is None else json.loads(row["result"])
    return Job(**facts)
