"""Which extensions are wanted, by settings and flags; and the marker that tells of one that ended the program."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modules.core.store import write_atomically
from modules.plugins.extension import Extension

if TYPE_CHECKING:
    from modules.settings.flags import Flags
    from modules.settings.options import Options

log = logging.getLogger(__name__)

DISABLED, ALL = "disabled_extensions", "disable_all_extensions"
BROKE = "Easel ended while it was being loaded, so it was disabled. Enable it to try again."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """names: of disabled ones; level: "none" is disabled beyond them, "extra" (all that are not built in) or "all";
    reason: what says so.
    """

    names: frozenset[str]
    level: str = "none"
    reason: str = ""

    @classmethod
    def of(cls, options: Options, flags: Flags) -> Wanted:
        values = options.snapshot()
        names = frozenset(str(name).casefold() for name in values[DISABLED])
        if flags.disable_all_extensions:
            return cls(names=names, level="all", reason="--disable-all-extensions")
        if flags.disable_extra_extensions and values[ALL] != "all":
            return cls(names=names, level="extra", reason="--disable-extra-extensions")
        return cls(names=names, level=values[ALL], reason=f'the setting "{ALL}"')

    def refusal(self, extension: Extension) -> str:
        """Why it is not loaded, "" if it is."""
        if self.level == "all" or (self.level == "extra" and not extension.builtin):
            return f"Disabled by {self.reason}."
        return "Disabled." if extension.names & self.names else ""


def disable(options: Options, extension: Extension) -> None:
    """Put it among the disabled ones. Raises BadRequest where the setting is frozen."""
    names = options.snapshot()[DISABLED]
    if extension.name not in names:
        options.set({DISABLED: [*names, extension.name]})


def enable(options: Options, extension: Extension) -> None:
    """Take it from the disabled ones. Raises BadRequest where the setting is frozen."""
    names = options.snapshot()[DISABLED]
    kept = [name for name in names if name.casefold() not in extension.names]
    if kept != names:
        options.set({DISABLED: kept})


def is_enabled(options: Options, extension: Extension) -> bool:
    """Whether it is not among the disabled ones."""
    disabled = {str(name).casefold() for name in options.snapshot()[DISABLED]}
    return not extension.names & disabled


class Marker:
    """A file that has the name of the extension being loaded: if it is there at a start, loading ended the program."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def left(self) -> str:
        """The name that the last start left behind, "" for none; told once."""
        try:
            name = self._path.read_text("utf-8").strip()
            self._path.unlink(missing_ok=True)
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read: %s", self._path, error)
            return ""
        return name

    @contextlib.contextmanager
    def loading(self, name: str) -> Iterator[None]:
        """While an extension is loaded."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, name.encode())
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
