"""What happened to jobs, in order: a durable record that streams and webhooks read, each from where it stopped.

The rows are written by triggers of the table of jobs, in the transaction that changes a job: none is missing, and a
number that a client has seen keeps its meaning over a restart. Events go when their job leaves the table.
"""

from __future__ import annotations

import dataclasses

from modules.core.store import Store

FINAL = frozenset({"done", "failed", "cancelled"})
TYPES = ("queued", "started", "done", "failed", "cancelled")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """Job `job_id` became `type` (one of `TYPES`; "queued" again when its process died). number counts up over all
    jobs; at: unix seconds.
    """

    number: int
    job_id: str
    type: str
    at: float


class Events:
    """Reads the record; the table is `table.Table`'s. Raises `StoreError` when the disk fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def last(self) -> int:
        """The number of the newest event, 0 when there is none."""
        return int(self._store.read("SELECT coalesce(max(number), 0) FROM events")[0][0])

    def after(
        self, number: int, *, job_id: str | None = None, owner: str | None = None, limit: int = 1000
    ) -> list[Event]:
        """Events with greater numbers, oldest first: of one job, of one owner's, or (None) of all."""
        sql = (
            "SELECT number, job_id, type, at FROM events WHERE number > ? AND (? IS NULL OR job_id = ?)"
            " AND (? IS NULL OR job_id IN (SELECT id FROM jobs WHERE owner = ?)) ORDER BY number LIMIT ?"
        )
        rows = self._store.read(sql, (number, job_id, job_id, owner, owner, limit))
        return [Event(**dict(row)) for row in rows]
