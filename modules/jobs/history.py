"""The finished pictures, newest first and searchable. `generate` adds, galleries and extensions look.

A picture can be starred, and moved to the trash (`trash.Trash` moves the file) and back. Those in the trash are found
only when they are asked for.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from modules.core.errors import NotFound
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
    """,
    """
    ALTER TABLE pictures ADD COLUMN sampler TEXT NOT NULL DEFAULT '';
    ALTER TABLE pictures ADD COLUMN starred INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE pictures ADD COLUMN trashed REAL;
    ALTER TABLE pictures ADD COLUMN trash TEXT;
    CREATE INDEX pictures_seed ON pictures (seed);
    CREATE INDEX pictures_trashed ON pictures (trashed) WHERE trashed IS NOT NULL;
    CREATE INDEX pictures_starred ON pictures (number) WHERE starred;
    """,
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One finished picture. path: absolute; kind: "sample", "grid", …; width, height: pixels; model: its name;
    created: unix seconds; seed None: it has none of its own (a grid). number: counts up, the picture's name in the
    history. trashed: when it went to the trash (unix seconds), where it lies as the file `trash`.
    """

    job_id: str
    path: str
    kind: str = "sample"
    infotext: str = ""
    seed: int | None = None
    width: int
    height: int
    model: str = ""
    sampler: str = ""
    created: float = dataclasses.field(default_factory=time.time)
    starred: bool = False
    trashed: float | None = None
    trash: str | None = None
    number: int = dataclasses.field(default=0, compare=False)

    @property
    def file(self) -> str:
        """Where it lies now."""
        return self.trash or self.path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """What to look for; all that is given must hold. text: words, each of them in the infotext, the path or the model's
    name; prompt: the same for the infotext before its parameters; model, sampler: parts of names; ASCII case is ignored
    everywhere. since, until: unix seconds, until is not in it. kinds: () = all. trashed: those in the trash instead.
    beyond: only pictures behind the one of this number, for the next page; oldest_first: the other way round.
    """

    text: str = ""
    prompt: str = ""
    model: str = ""
    sampler: str = ""
    seed: int | None = None
    since: float | None = None
    until: float | None = None
    starred: bool | None = None
    job_id: str | None = None
    kinds: tuple[str, ...] = ()
    trashed: bool = False
    beyond: int | None = None
    oldest_first: bool = False
    limit: int = 100


Pictures: TypeAlias = "list[Picture]"

FIELDS = tuple(field.name for field in dataclasses.fields(Picture) if field.name != "number")
EVERYTHING = "(infotext || char(10) || path || char(10) || model)"
PROMPT = "substr(infotext, 1, coalesce(nullif(instr(infotext, char(10) || 'Steps: '), 0), length(infotext) + 1) - 1)"


class History:
    """The table of pictures. Every method raises `StoreError` when the disk fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.migrate("history", SCHEMA)

    def add(self, pictures: Iterable[Picture], *, synced: bool = True) -> None:
        """All of them or, if the disk fails, none. synced: see `Store.transaction`."""
        rows = [_row(picture) for picture in pictures]
        with self._store.transaction(synced=synced) as connection:
            connection.executemany(f"INSERT INTO pictures ({', '.join(FIELDS)}) VALUES ({_marks(FIELDS)})", rows)

    def get(self, number: int) -> Picture:
        """Raises `NotFound`."""
        rows = self._store.read("SELECT * FROM pictures WHERE number = ?", (number,))
        if not rows:
            raise NotFound("Picture", str(number))
        return _picture(rows[0])

    def latest(self, limit: int = 100) -> Pictures:
        """The last `limit` added, newest first."""
        return self.find(Search(limit=limit))

    def of_job(self, job_id: str) -> Pictures:
        """A job's pictures, newest first."""
        return self.find(Search(job_id=job_id, limit=-1))

    def search(self, text: str, limit: int = 100) -> Pictures:
        """Newest first: each word of `text` is in the infotext, the path or the model's name; ASCII case is ignored.

        No words find everything.
        """
        return self.find(Search(text=text, limit=limit))

    def find(self, search: Search) -> Pictures:
        """What a search finds, newest first unless it says otherwise."""
        conditions, parameters = _conditions(search)
        if search.beyond is not None:
            conditions.append("number > ?" if search.oldest_first else "number < ?")
            parameters.append(search.beyond)
        order = "ASC" if search.oldest_first else "DESC"
        sql = f"SELECT * FROM pictures WHERE {' AND '.join(conditions)} ORDER BY number {order} LIMIT ?"
        return [_picture(row) for row in self._store.read(sql, [*parameters, search.limit])]

    def count(self, search: Search = Search()) -> int:
        """How many pictures a search finds on all its pages."""
        conditions, parameters = _conditions(search)
        return int(
            self._store.read(f"SELECT count(*) FROM pictures WHERE {' AND '.join(conditions)}", parameters)[0][0]
        )

    def names(self, column: str) -> list[str]:
        """What there is to choose from in "model", "sampler" or "kind", the most frequent first."""
        if column not in ("model", "sampler", "kind"):
            raise ValueError(column)
        sql = f"SELECT {column} FROM pictures WHERE {column} <> '' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1000"
        return [row[0] for row in self._store.read(sql)]

    def star(self, number: int, starred: bool = True) -> None:
        """Mark a picture, or take the mark away. Raises `NotFound`."""
        self._change(number, "starred = ?", int(starred))

    def put_away(self, number: int, trash: str, now: float) -> None:
        """The picture lies in the trash now. Raises `NotFound`."""
        self._change(number, "trashed = ?, trash = ?", now, trash)

    def put_back(self, number: int, path: str) -> None:
        """The picture is out of the trash, at `path`. Raises `NotFound`."""
        self._change(number, "trashed = NULL, trash = NULL, path = ?", path)

    def forget(self, number: int) -> None:
        """Take a picture out of the history; its file is the caller's affair."""
        self._store.write("DELETE FROM pictures WHERE number = ?", (number,))

    def _change(self, number: int, changes: str, *values: object) -> None:
        if not self._store.write(f"UPDATE pictures SET {changes} WHERE number = ?", (*values, number)):
            raise NotFound("Picture", str(number))


def _conditions(search: Search) -> tuple[list[str], list[object]]:
    """SQL conditions and their parameters, without the page."""
    conditions = ["trashed IS NOT NULL" if search.trashed else "trashed IS NULL"]
    parameters: list[object] = []

    def demand(condition: str, *values: object) -> None:
        conditions.append(condition)
        parameters.extend(values)

    columns = ((EVERYTHING, search.text), (PROMPT, search.prompt), ("model", search.model), ("sampler", search.sampler))
    for column, text in columns:
        for word in _storable(text).split():
            demand(f"{column} LIKE ? ESCAPE '\\'", _pattern(word))
    numbers = (("seed = ?", _seed(search.seed)), ("created >= ?", search.since), ("created < ?", search.until))
    for condition, value in numbers:
        if value is not None:
            demand(condition, value)
    if search.starred is not None:
        demand("starred = ?", int(search.starred))
    if search.job_id is not None:
        demand("job_id = ?", search.job_id)
    if search.kinds:
        demand(f"kind IN ({_marks(search.kinds)})", *search.kinds)
    return conditions, parameters


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _seed(seed: int | None) -> str | None:
    """As text: it may have more than SQLite's 63 bits."""
    return None if seed is None else str(seed)


def _pattern(word: str) -> str:
    """A LIKE pattern that finds exactly this word anywhere."""
    for special in ("\\", "%", "_"):
        word = word.replace(special, "\\" + special)
    return f"%{word}%"


def _storable(text: str) -> str:
    """Without lone surrogates, which no file can hold; they become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _row(picture: Picture) -> list[object]:
    facts = {name: getattr(picture, name) for name in FIELDS} | {"seed": _seed(picture.seed)}
    return [_storable(value) if isinstance(value, str) else value for value in facts.values()]


def _picture(row: sqlite3.Row) -> Picture:
    seed = None if row["seed"] is None else int(row["seed"])
    return Picture(**{**dict(row), "seed": seed, "starred": bool(row["starred"])})
