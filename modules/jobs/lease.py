"""Which running Easel owns a job: each process that works on a data folder holds a numbered lock file there.

The system lets go of the lock when the process ends, however it ends. So a new process knows which numbers are dead
and takes over their jobs, while two that run side by side leave each other's alone. Called by queue.py.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from modules.core.store import StoreError, explain_disk

MOST = 1000  # processes on one data folder


@dataclasses.dataclass(frozen=True)
class Lease:
    """A number that nobody else has until `release` or the end of the process."""

    number: int
    handle: int

    def release(self) -> None:
        os.close(self.handle)


def take(beside: Path, number: int) -> Lease | None:
    """This number, or None when it is taken. `beside` is the database's path. Raises `StoreError`."""
    handle = _try_lock(beside.with_name(f"{beside.name}.lock-{number}"))
    return None if handle is None else Lease(number, handle)


def take_any(beside: Path) -> Lease:
    """The smallest free number from 1. Raises `StoreError`."""
    for number in range(1, MOST + 1):
        lease = take(beside, number)
        if lease is not None:
            return lease
    raise StoreError(f"{MOST} running programs hold {beside}: stop some of them.")


def _try_lock(path: Path) -> int | None:
    """An open handle that holds the file's lock; None when another one holds it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # not inherited by programs that Easel starts
    except OSError as error:
        raise StoreError(explain_disk(error, f"The lock file {path} cannot be opened")) from error
    try:
        _lock(handle)
    except (BlockingIOError, PermissionError):  # POSIX and Windows say "taken" like this
        os.close(handle)
        return None
    except OSError as error:
        os.close(handle)
        raise StoreError(explain_disk(error, f"The file {path} cannot be locked on this file system")) from error
    return handle


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
