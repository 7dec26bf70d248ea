"""extensions.lock.json: every state that the extensions were in, the newest last, so that each can be had again."""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modules.core.errors import DamagedFile, NotFound
from modules.core.store import write_atomically

log = logging.getLogger(__name__)

NAME = "extensions.lock.json"
KEPT = 500
VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One extension in a state. commit: "" for a folder that is no repository's; url: "" for such a one."""

    url: str = ""
    branch: str = ""
    subfolder: str = ""
    commit: str = ""
    enabled: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """number: from 1 on; date: ISO, UTC; packages: versions of Python packages that the step to this state changed,
    before: what they were before it, None = absent.
    """

    number: int
    date: str
    reason: str
    extensions: Mapping[str, Entry]
    packages: Mapping[str, str] = dataclasses.field(default_factory=dict)
    before: Mapping[str, str | None] = dataclasses.field(default_factory=dict)


class Lock:
    """The file. One writer at a time: the manager."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def states(self) -> list[State]:
        """All of them. Raises DamagedFile."""
        return [_state(each) for each in self._read()["states"]]

    def get(self, number: int) -> State:
        """Raises NotFound, DamagedFile."""
        states = self.states()
        for each in states:
            if each.number == number:
                return each
        raise NotFound("State", str(number), [str(each.number) for each in states], field="number")

    def add(
        self,
        reason: str,
        extensions: Mapping[str, Entry],
        *,
        packages: Mapping[str, str] | None = None,
        before: Mapping[str, str | None] | None = None,
    ) -> State:
        """The state that there is now. Raises DamagedFile, StoreError."""
        read = self._read()
        states = read["states"]
        last = states[-1]["number"] if states else 0
        made = State(
            number=last + 1,
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            reason=reason,
            extensions=dict(sorted(extensions.items())),
            packages=dict(packages or {}),
            before={**(before or {}), **read["pending"]},
        )
        self._write([*states, dataclasses.asdict(made)][-KEPT:], {})
        return made

    def packages_of(self, number: int) -> dict[str, str | None]:
        """Versions at the end of a state, of all packages that later steps changed; None = absent."""
        read = self._read()
        versions: dict[str, str | None] = dict(read["pending"])
        for each in reversed(self.states()):
            if each.number <= number:
                break
            versions.update(each.before)
        return versions

    def pend(self, before: Mapping[str, str | None]) -> None:
        """Versions of packages that are about to change: known even if this process does not live to `add`."""
        read = self._read()
        self._write(read["states"], {**before, **read["pending"]} if before else {})

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text("utf-8"))
            if found["version"] > VERSION:
                raise DamagedFile(f"{self.path} was written by a newer Easel.")
            return {"states": [dict(each) for each in found["states"]], "pending": dict(found.get("pending", {}))}
        except FileNotFoundError:
            return {"states": [], "pending": {}}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedFile(f"{self.path} cannot be read: {error}. Move it away to begin a new one.") from error

    def _write(self, states: Sequence[Mapping[str, Any]], pending: Mapping[str, str | None]) -> None:
        whole = {"version": VERSION, "pending": dict(pending), "states": list(states)}
        write_atomically(self.path, json.dumps(whole, indent=1).encode())


def _state(read: Mapping[str, Any]) -> State:
    entries = {name: Entry(**each) for name, each in read["extensions"].items()}
    return State(**{**read, "extensions": entries})
