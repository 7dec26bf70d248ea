"""The line of waiting jobs: who is next, and how a person changes that. Called by queue.py and, through it, by the web.

Greater priority runs first. Among equal ones owners take turns, so that a hundred jobs of one do not hold up the single
one of another; each owner's jobs run in the order of submission unless they are moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, NoReturn

from modules.core.errors import BadRequest, NotFound
from modules.core.store import Store

PRIORITIES = range(-1000, 1001)
PAUSED = "paused"
PENDING = "FROM jobs WHERE state = 'pending'"
BY_RANK = "ORDER BY rank, sequence"


class Waiting(NamedTuple):
    """A pending job as far as its turn depends on it."""

    id: str
    owner: str
    priority: int
    rank: float


class Line:
    """What waits. Every method is one transaction or one read and raises `StoreError` if the disk fails."""

    def __init__(self, store: Store, changed: Callable[[], None]) -> None:
        """changed: told when another job may be the next one. The tables are those of `table.Table`."""
        self._store = store
        self._changed = changed

    @property
    def paused(self) -> bool:
        """No job is taken; what runs goes on. It holds until `resume`, over a restart too."""
        rows = self._store.read("SELECT value FROM switches WHERE name = ?", (PAUSED,))
        return bool(rows and rows[0]["value"])

    def pause(self) -> None:
        self._switch(True)

    def resume(self) -> None:
        self._switch(False)

    def order(self, slot: int) -> list[str]:
        """The pending jobs of this slot as they will run, if nothing changes."""
        rows = self._store.read(f"SELECT id, owner, priority, rank {PENDING} AND slot IN (0, ?) {BY_RANK}", (slot,))
        waiting = [Waiting(*row) for row in rows]
        owners = {each.owner for each in waiting}
        return fair(waiting, self._turns() if len(owners) > 1 else {})

    def prioritize(self, id: str, priority: int) -> None:
        """Give a pending job another priority (-1000..1000). Raises `NotFound`, `BadRequest`."""
        if priority not in PRIORITIES:
            raise BadRequest(f"priority must be {PRIORITIES[0]} to {PRIORITIES[-1]}, not {priority}.", field="priority")
        with self._store.transaction() as connection:
            changed = connection.execute(
                "UPDATE jobs SET priority = ? WHERE id = ? AND state = 'pending'", (priority, id)
            ).rowcount
        if not changed:
            self._refuse(id)
        self._changed()

    def move(self, id: str, *, before: str | None = None) -> None:
        """Put a pending job right before another one, whose priority it takes over, or (None) behind all of its own.

        Both stay with their owners, who take turns. Raises `NotFound`, `BadRequest` where one does not wait.
        """
        moved = self._waiting(id)
        target = moved if before is None else self._waiting(before)
        with self._store.transaction() as connection:
            rows = connection.execute(
                f"SELECT id, rank {PENDING} AND priority = ? AND id <> ? {BY_RANK}",
                (target.priority, id),
            ).fetchall()
            names = [row["id"] for row in rows]
            place = len(names) if before is None or before not in names else names.index(before)
            names.insert(place, id)
            ranks = sorted([moved.rank, *(row["rank"] for row in rows)])
            connection.executemany("UPDATE jobs SET rank = ? WHERE id = ?", zip(ranks, names, strict=True))
            connection.execute("UPDATE jobs SET priority = ? WHERE id = ?", (target.priority, id))
        self._changed()

    def _waiting(self, id: str) -> Waiting:
        sql = "SELECT id, owner, priority, rank FROM jobs WHERE id = ? AND state = 'pending'"
        rows = self._store.read(sql, (id,))
        if not rows:
            self._refuse(id)
        return Waiting(*rows[0])

    def _refuse(self, id: str) -> NoReturn:
        rows = self._store.read("SELECT state FROM jobs WHERE id = ?", (id,))
        if not rows:
            raise NotFound("Job", id)
        raise BadRequest(f"Job {id} does not wait any more: it is {rows[0]['state']}.", field="id")

    def _turns(self) -> dict[str, float]:
        rows = self._store.read("SELECT owner, max(started) AS last FROM jobs GROUP BY owner")
        return {row["owner"]: row["last"] for row in rows if row["last"] is not None}

    def _switch(self, value: bool) -> None:
        self._store.write("INSERT OR REPLACE INTO switches (name, value) VALUES (?, ?)", (PAUSED, int(value)))
        self._changed()


def fair(waiting: Iterable[Waiting], turns: Mapping[str, float]) -> list[str]:
    """The order of jobs, given by rank. turns: when each owner had a turn last; who had none comes first."""
    groups: dict[int, dict[str, deque[Waiting]]] = {}
    for each in waiting:
        groups.setdefault(each.priority, {}).setdefault(each.owner, deque()).append(each)
    last: dict[str, tuple[float, int]] = {owner: (time, 0) for owner, time in turns.items()}
    order: list[str] = []
    never = (float("-inf"), 0)
    for priority in sorted(groups, reverse=True):
        owners = groups[priority]
        while owners:
            owner = min(owners, key=lambda name: (last.get(name, never), owners[name][0].rank))
            order.append(owners[owner].popleft().id)
            last[owner] = (float("inf"), len(order))
            if not owners[owner]:
                del owners[owner]
    return order
