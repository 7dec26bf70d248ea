"""What the set-up remembers of an environment, and the lock that keeps two installations apart.

The stamp is written as unfinished before pip starts and as finished after it, so an installation that was interrupted
or killed is noticed at the next start and continued.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stamp:
    """finished: did the last installation come to its end; torch: how torch was asked for (`torch.Source.key`);
    distributions: normal names of all that was there at that end."""

    finished: bool
    torch: str = ""
    distributions: tuple[str, ...] = ()


def read(path: Path) -> Stamp | None:
    """The stamp in this file; None if there is none. An unreadable one counts as an unfinished installation."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Stamp(
            finished=bool(record["finished"]),
            torch=str(record["torch"]),
            distributions=tuple(str(name) for name in record["distributions"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # cut off by a crash or edited: the safe answer is to look again
        return Stamp(finished=False)


def write(path: Path, stamp: Stamp) -> None:
    """Replace the stamp as a whole: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(dataclasses.asdict(stamp), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


@contextlib.contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[int]:
    """Hold the lock at `path`, waiting for whoever has it; yields its file descriptor.

    A pip that is handed the descriptor keeps the lock on POSIX even when its parent is killed, so a second start waits
    for it instead of working beside it. `waiting` is called once if there is something to wait for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if not _taken(file):
            waiting()
            while not _taken(file):
                time.sleep(0.5)
        yield file.fileno()


if sys.platform == "win32":
    import msvcrt

    def _taken(file: BinaryIO) -> bool:
        """Try to take the lock; Windows gives it back when the file is closed."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _taken(file: BinaryIO) -> bool:
        """Try to take the lock; it is given back when the last process that has the file open closes it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
