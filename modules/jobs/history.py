"""The finished pictures, newest first and searchable. `generate` adds, galleries and extensions look."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Iterable
from typing import TypeAlias

from modules.core.store import Store

SCHEMA = [
    """
    CREATE TABLE pictures (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        path TEXT NOT NULL,
        kind TEXT NOT NULL,
        infotext TEXT NOT NULL,
        seed TEXT,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        model TEXT NOT NULL,
        created REAL NOT NULL
    );
    CREATE INDEX pictures_job ON pictures (job_id);
    CREATE INDEX pictures_path ON pictures (path);
    CREATE INDEX pictures_created ON pictures (created);
    """
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One finished picture. path: absolute; kind: "sample", "grid", …; width, height: pixels; model: its name;
    created: unix seconds; seed None: it has none of its own (a grid)."""

    job_id: str
    path: str
    kind: str = "sample"
    infotext: str = ""
    seed: int | None = None
    width: int
    height: int
    model: str = ""
    created: float = dataclasses.field(default_factory=time.time)


Pictures: TypeAlias = "list[Picture]"

FIELDS = tuple(field.name for field in dataclasses.fields(Picture))


class History:
    """The table of pictures. Every method raises `StoreError` when the disk fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.migrate("history", SCHEMA)

    def add(self, pictures: Iterable[Picture]) -> None:
        """All of them or, if the disk fails, none."""
        marks = ", ".join("?" * len(FIELDS))
        rows = [_row(picture) for picture in pictures]
        with self._store.transaction() as connection:
            connection.executemany(f"INSERT INTO pictures ({', '.join(FIELDS)}) VALUES ({marks})", rows)

    def latest(self, limit: int = 100) -> Pictures:
        """The last `limit` added, newest first."""
        return self._select("1", [], limit)

    def of_job(self, job_id: str) -> Pictures:
        """A job's pictures, newest first."""
        return self._select("job_id = ?", [job_id], -1)

    def search(self, text: str, limit: int = 100) -> Pictures:
        """Newest first: each word of `text` is in the infotext, the path or the model's name; ASCII case is ignored.

        No words find everything.
        """
        words = _storable(text).split()
        one = "(infotext || char(10) || path || char(10) || model) LIKE ? ESCAPE '\\'"
        return self._select(" AND ".join([one] * len(words)) or "1", [_pattern(word) for word in words], limit)

    def _select(self, condition: str, parameters: list[str], limit: int) -> Pictures:
        sql = f"SELECT {', '.join(FIELDS)} FROM pictures WHERE {condition} ORDER BY number DESC LIMIT ?"
        return [_picture(row) for row in self._store.read(sql, [*parameters, limit])]


def _pattern(word: str) -> str:
    """A LIKE pattern that finds exactly this word anywhere."""
    for special in ("\\", "%", "_"):
        word = word.replace(special, "\\" + special)
    return f"%{word}%"


def _storable(text: str) -> str:
    """Without lone surrogates, which no file can hold; they become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _row(picture: Picture) -> list[object]:
    facts = dataclasses.asdict(picture)
    facts["seed"] = None if picture.seed is None else str(picture.seed)  # it may have more than SQLite's 63 bits
    return [_storable(value) if isinstance(value, str) else value for value in facts.values()]


def _picture(row: sqlite3.Row) -> Picture:
    return Picture(**{**dict(row), "seed": None if row["seed"] is None else int(row["seed"])})
