"""Who wants to be told of a job over the network, and what is still to be sent: tables, and when to try again.

A trigger writes a row for each event that somebody asked for, in the transaction that changes the job. So nothing is
forgotten when the process dies, and what could not be sent is tried after the next start. `web.webhooks` sends.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import sqlite3
from collections.abc import Collection
from typing import TypeAlias

from modules.core.store import Store

WAITS = (10.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0)
"""Seconds before each further attempt; after the last one it is given up."""
KEPT_SECONDS = 7 * 86400.0
"""How long it is remembered that something was sent."""

SCHEMA = [
    """
    CREATE TABLE webhooks (
        job_id TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        secret TEXT NOT NULL,
        types TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        event INTEGER NOT NULL,
        type TEXT NOT NULL,
        at REAL NOT NULL,
        url TEXT NOT NULL,
        secret TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting',
        attempts INTEGER NOT NULL DEFAULT 0,
        due REAL NOT NULL DEFAULT 0,
        answer TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX deliveries_due ON deliveries (due) WHERE state = 'waiting';
    CREATE INDEX deliveries_job ON deliveries (job_id);
    CREATE TRIGGER webhooks_due AFTER INSERT ON events BEGIN
        INSERT INTO deliveries (job_id, event, type, at, url, secret)
        SELECT NEW.job_id, NEW.number, NEW.type, NEW.at, url, secret FROM webhooks
        WHERE job_id = NEW.job_id AND instr(types, ' ' || NEW.type || ' ');
        DELETE FROM webhooks WHERE job_id = NEW.job_id AND NEW.type IN ('done', 'failed', 'cancelled');
    END;
    """
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one address. event: the number of the job's event, `type` and `at` are its; state: waiting, sent
    or failed; due: unix seconds of the next attempt; answer: what became of the last one, in words.
    """

    number: int
    job_id: str
    event: int
    type: str
    at: float
    url: str
    secret: str = dataclasses.field(repr=False)
    state: str
    attempts: int
    due: float
    answer: str


Deliveries: TypeAlias = "list[Delivery]"  # inside a class that has a method `list`


class Webhooks:
    """The tables. Needs those of jobs (`table.Table`). Every method raises `StoreError` when the disk fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.migrate("webhooks", SCHEMA)

    def register(self, job_id: str, url: str, *, secret: str = "", types: Collection[str]) -> None:
        """Tell this address of these types of a job's events; before the job is queued, so that none is missed."""
        sql = "INSERT OR IGNORE INTO webhooks (job_id, url, secret, types) VALUES (?, ?, ?, ?)"
        if not self._store.read("SELECT 1 FROM jobs WHERE id = ?", (job_id,)):
            self._store.write(sql, (job_id, url, secret, f" {' '.join(types)} "))

    def forget(self, job_id: str) -> None:
        """The job was not queued after all."""
        sql = "DELETE FROM webhooks WHERE job_id = ? AND job_id NOT IN (SELECT id FROM jobs)"
        self._store.write(sql, (job_id,))

    def due(self, now: float, limit: int = 100) -> Deliveries:
        """What is to be sent now, the longest due first."""
        sql = "SELECT * FROM deliveries WHERE state = 'waiting' AND due <= ? ORDER BY due, number LIMIT ?"
        return [_delivery(row) for row in self._store.read(sql, (now, limit))]

    def next_due(self) -> float | None:
        """When there is something to do (unix seconds); None: nothing waits."""
        found: float | None = self._store.read("SELECT min(due) FROM deliveries WHERE state = 'waiting'")[0][0]
        return found

    def list(
        self, *, job_id: str | None = None, owner: str | None = None, limit: int = 100, beyond: int | None = None
    ) -> Deliveries:
        """Newest first: of one job, of one owner's jobs, or (None) all; beyond: behind the one of this number."""
        sql = (
            "SELECT * FROM deliveries WHERE (? IS NULL OR job_id = ?) AND (? IS NULL OR number < ?)"
            " AND (? IS NULL OR job_id IN (SELECT id FROM jobs WHERE owner = ?)) ORDER BY number DESC LIMIT ?"
        )
        values = (job_id, job_id, beyond, beyond, owner, owner, limit)
        return [_delivery(row) for row in self._store.read(sql, values)]

    def sent(self, delivery: Delivery, answer: str, now: float) -> None:
        """It arrived. Old rows go."""
        self._store.write(
            "UPDATE deliveries SET state = 'sent', attempts = attempts + 1, answer = ?, due = ? WHERE number = ?",
            (answer, now, delivery.number),
        )
        self._store.write("DELETE FROM deliveries WHERE state <> 'waiting' AND due < ?", (now - KEPT_SECONDS,))

    def failed(self, delivery: Delivery, answer: str, now: float, *, forever: bool = False) -> None:
        """It did not arrive: try again later, or (after the last time, or `forever`) not at all."""
        given_up = forever or delivery.attempts >= len(WAITS)
        due = now if given_up else now + WAITS[delivery.attempts]
        self._store.write(
            "UPDATE deliveries SET state = ?, attempts = attempts + 1, answer = ?, due = ? WHERE number = ?",
            ("failed" if given_up else "waiting", answer, due, delivery.number),
        )


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of timestamp, a dot and the body, as "v1=<hex>": what the receiver computes to compare."""
    signed = timestamp.encode("ascii") + b"." + body
    return "v1=" + hmac.new(secret.encode("utf-8", "surrogatepass"), signed, hashlib.sha256).hexdigest()


def _delivery(row: sqlite3.Row) -> Delivery:
    return Delivery(**dict(row))
