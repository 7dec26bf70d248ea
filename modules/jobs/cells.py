"""What a long job has finished so far, cell by cell: a job that was killed and runs again makes only what is missing.

`generate.scripts` keeps a row for each cell of a plot once its pictures are on the disk, `generate.save` one for each
picture of another job.
"""

from __future__ import annotations

import dataclasses
import json

from modules.core.store import Store
from modules.core.types import JsonObject

SCHEMA = [
    """
    CREATE TABLE cells (
        job_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        asked TEXT NOT NULL,
        result TEXT NOT NULL,
        PRIMARY KEY (job_id, number)
    ) WITHOUT ROWID;
    """
]


PICTURE = "picture"
"""What is asked of a picture that is no script's: its job says it all."""


class Cells:
    """The table of finished cells. Every method is one transaction or one read; raises `StoreError`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.migrate("cells", SCHEMA)

    def get(self, job_id: str, number: int, *, asked: str) -> JsonObject | None:
        """The result of cell `number` (0..) if it was made of the same question; `asked` is its fingerprint."""
        sql = "SELECT result FROM cells WHERE job_id = ? AND number = ? AND asked = ?"
        rows = self._store.read(sql, (job_id, number, asked))
        return dict(json.loads(rows[0]["result"])) if rows else None

    def put(self, job_id: str, number: int, result: JsonObject, *, asked: str, synced: bool = True) -> None:
        """Keep a finished cell; an older one of that number is replaced. synced: on the disk when this returns."""
        sql = "INSERT OR REPLACE INTO cells (job_id, number, asked, result) VALUES (?, ?, ?, ?)"
        self._store.write(sql, (job_id, number, asked, json.dumps(result)), synced=synced)

    def of_job(self, job_id: str) -> Ledger:
        """The pictures of one job that is no script."""
        return Ledger(cells=self, job_id=job_id)

    def drop(self, job_id: str) -> None:
        """Forget the cells of a job that has ended."""
        self._store.write("DELETE FROM cells WHERE job_id = ?", (job_id,), synced=False)

    def count(self, job_id: str) -> int:
        """How many cells of a job are there."""
        return int(self._store.read("SELECT count(*) FROM cells WHERE job_id = ?", (job_id,))[0][0])

    def tidy(self) -> int:
        """Forget the cells of jobs that are not in the queue any more, whose results hold all that is wanted -> how
        many there were. Needs the table of jobs (`jobs.table`).
        """
        sql = "DELETE FROM cells WHERE job_id NOT IN (SELECT id FROM jobs WHERE state IN ('pending', 'running'))"
        return self._store.write(sql)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ledger:
    """The finished pictures of one job by number. What was put survives `kill -9`; after a power cut the last ones may
    be made again."""

    cells: Cells
    job_id: str

    def get(self, number: int) -> JsonObject | None:
        """None: not finished."""
        return self.cells.get(self.job_id, number, asked=PICTURE)

    def put(self, number: int, row: JsonObject) -> None:
        """Picture `number` is on the disk."""
        self.cells.put(self.job_id, number, row, asked=PICTURE, synced=False)
