"""Durable storage: one SQLite file for queue, history and caches, and whole-or-nothing writing of single files.

Called by jobs (queue, history), loading (hash cache), settings (config.json) and imaging. It promises that what a
`with store.transaction()` block wrote is on the disk when the block ends, all of it or nothing; that a damaged
database is moved aside and never overwritten; and that every failure of the disk is an `EaselError` with the way out.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from modules.core.errors import EaselError

log = logging.getLogger(__name__)

LAYOUT = 1  # user_version: the layout of the bookkeeping itself; every part counts its own versions in `parts`
BUSY_SECONDS = 30.0  # how long a write waits for another process that is writing
CHECK_BELOW = 256 * 2**20  # bytes; a bigger file is not read through at the start, damage then shows when it is met
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

Parameters: TypeAlias = "Sequence[Any] | Mapping[str, Any]"

NO_ACCESS = "Give Easel write access to its folder or choose another --data-dir."
HELD = "Another program is holding it: close that program and try again."
WAYS_OUT = {
    sqlite3.SQLITE_FULL: "The disk is full: free some space and try again.",
    sqlite3.SQLITE_READONLY: NO_ACCESS,
    sqlite3.SQLITE_CANTOPEN: NO_ACCESS,
    sqlite3.SQLITE_PERM: NO_ACCESS,
    sqlite3.SQLITE_BUSY: HELD,
    sqlite3.SQLITE_LOCKED: HELD,
    sqlite3.SQLITE_IOERR: "The disk could not be read or written: look at its health and free space.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: restart Easel, which moves it aside and begins a new one.",
    sqlite3.SQLITE_NOTADB: "The file is not a database any more: restart Easel, which moves it aside.",
}
DISK_WAYS_OUT = {
    errno.ENOSPC: "The disk is full: free some space.",
    errno.EDQUOT: "The disk quota is used up: free some space.",
    errno.EROFS: "The file system is read-only: choose another folder.",
    errno.EACCES: "Give Easel write access to the folder or choose another one.",
    errno.EPERM: "Give Easel write access to the folder or choose another one.",
    errno.ENOENT: "The folder does not exist.",
    errno.ENOTDIR: "A part of this path is a file, not a folder.",
}


class StoreError(EaselError):
    """The database or a file could not be read or written; the message has its name, the reason and the way out."""


class Store:
    """One SQLite database in WAL mode with a connection for each thread. Safe to use from any thread.

    Readers never wait for writers. Writers of this process queue on a lock, those of other processes wait up to
    30 s. Raises `StoreError` when the file cannot be opened; a damaged file is moved to `<name>.broken-<n>` first.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._connections: dict[threading.Thread, sqlite3.Connection] = {}
        self._guard = threading.Lock()  # of the table of connections
        self._writing = threading.RLock()
        self._closed = False
        with self._plainly():
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if _code(error) not in DAMAGED:
                    raise
                self._move_aside(error)
                self._open()

    def migrate(self, part: str, steps: Sequence[str]) -> None:
        """Bring the tables of `part` (its own name, such as "jobs") up to `len(steps)`.

        steps[i] is SQL (one or more statements) that turns version i into i + 1. Published steps never change; new
        ones are added at the end. All missing steps run in one transaction. Raises `StoreError` when the file was
        written by a newer Easel.
        """
        with self.transaction() as connection:
            row = connection.execute("SELECT version FROM parts WHERE part = ?", (part,)).fetchone()
            version = row["version"] if row else 0
            if version > len(steps):
                raise StoreError(self._newer(f'its part "{part}" has version {version}, this Easel knows {len(steps)}'))
            for script in steps[version:]:
                for statement in _statements(script):
                    connection.execute(statement)
            connection.execute("INSERT OR REPLACE INTO parts (part, version) VALUES (?, ?)", (part, len(steps)))

    @contextlib.contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """A write that happens whole or not at all; on the disk when the block ends. Not to be nested.

        synced False: on the disk after `sync` or the next synced write. A killed process loses nothing of it either;
        a power cut before may take it back, whole and with all that came after it.
        """
        with self._writing, self._plainly():
            connection = self.connection()
            connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # some failures (disk full) have already rolled back
                    connection.execute("ROLLBACK")
                raise

    def read(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """All rows of a query; never waits for a writer."""
        with self._plainly():
            return self.connection().execute(sql, parameters).fetchall()

    def write(self, sql: str, parameters: Parameters = (), *, synced: bool = True) -> int:
        """One statement in its own transaction -> number of rows changed."""
        with self.transaction(synced=synced) as connection:
            return connection.execute(sql, parameters).rowcount

    def sync(self) -> None:
        """What was committed before is on the disk when this returns; writers go on meanwhile."""
        journal = self.path.with_name(f"{self.path.name}-wal")
        try:
            handle = os.open(journal, os.O_RDWR | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:  # a file system on which SQLite keeps no such journal: it syncs by itself
            return
        except OSError as error:
            raise StoreError(explain_disk(error, f"{journal} could not be opened")) from error
        try:
            os.fsync(handle)
        except OSError as error:
            raise StoreError(explain_disk(error, f"{journal} could not be written")) from error
        finally:
            os.close(handle)

    def connection(self) -> sqlite3.Connection:
        """This thread's connection (autocommit; rows are `sqlite3.Row`). Raises `StoreError` after `close`."""
        found = self._connections.get(threading.current_thread())
        return found if found is not None else self._connect()

    def close(self) -> None:
        """Close the connections of all threads. Call it when nobody uses the store any more."""
        with self._guard:
            self._closed = True
            for connection in self._connections.values():
                connection.close()
            self._connections = {}

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self.path} is closed: Easel is stopping.")
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # each stays with its thread, only `close` and the sweep below come from others
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a queued job survives a power cut, not only a kill
        except sqlite3.Error:
            connection.close()
            raise
        with self._guard:
            for thread in [thread for thread in self._connections if not thread.is_alive()]:
                self._connections.pop(thread).close()
            self._connections[threading.current_thread()] = connection
        return connection

    def _open(self) -> None:
        connection = self.connection()
        if self.path.stat().st_size < CHECK_BELOW:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise _damage(verdict)
        connection.execute("BEGIN IMMEDIATE")  # two processes may start at once
        try:
            layout = connection.execute("PRAGMA user_version").fetchone()[0]
            if layout > LAYOUT:
                raise StoreError(self._newer(f"its layout has version {layout}, this Easel knows {LAYOUT}"))
            if layout < LAYOUT:
                connection.execute("CREATE TABLE IF NOT EXISTS parts (part TEXT PRIMARY KEY, version INTEGER NOT NULL)")
                connection.execute(f"PRAGMA user_version = {LAYOUT}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        with self._guard:
            for connection in self._connections.values():
                connection.close()
            self._connections = {}
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.broken-{number}")).exists():
            number += 1
        try:
            for suffix in ("-wal", "-shm", ""):  # the main file last: a start that dies here finds it still damaged
                companion = self.path.with_name(self.path.name + suffix)
                if companion.exists():
                    companion.rename(aside.with_name(aside.name + suffix))
        except OSError as trouble:
            raise StoreError(f"{self.path} is damaged ({error}) and cannot be moved aside: {trouble}.") from trouble
        log.error("%s is damaged (%s). It is kept as %s; a new one begins empty.", self.path, error, aside.name)

    @contextlib.contextmanager
    def _plainly(self) -> Iterator[None]:
        """SQLite's errors as `StoreError` with words; misuse of the API stays what it is."""
        try:
            yield
        except sqlite3.ProgrammingError:
            if not self._closed:
                raise
            raise StoreError(f"{self.path} is closed: Easel is stopping.") from None
        except sqlite3.Error as error:
            way_out = WAYS_OUT.get(_code(error), "")
            raise StoreError(f"The database {self.path} failed: {error}. {way_out}".rstrip()) from error

    def _newer(self, detail: str) -> str:
        return f"{self.path} was written by a newer Easel ({detail}). Update Easel or choose another --data-dir."


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, or leave it as it was: no reader and no crash ever sees half of it.

    The folder must exist. An existing file's permissions are kept; of a symbolic link the target is replaced.
    Raises `StoreError` naming the file, the reason and the way out.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".easel-{secrets.token_hex(6)}.tmp")  # short: names near the limit stay writable
    try:
        try:
            _write_through(temporary, data)
            if target.exists():
                os.chmod(temporary, target.stat().st_mode & 0o7777)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(explain_disk(error, f"{path} could not be written")) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Does nothing where the system has no such thing (Windows, some shares)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def explain_disk(error: OSError, what: str) -> str:
    """A sentence for a person: what failed, the system's reason, and the way out where there is a known one."""
    way_out = DISK_WAYS_OUT.get(error.errno or 0, "")
    return f"{what}: {error.strerror or error}. {way_out}".rstrip()


def _write_through(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _statements(script: str) -> Iterator[str]:
    """The statements of an SQL script, one by one (`executescript` would end the transaction)."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        yield gathered


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for errors of the Python module itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _damage(verdict: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(verdict)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
