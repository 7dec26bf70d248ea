"""What `plugins` asks of whoever runs extensions of A1111's layout (`modules.compat`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Guest(Protocol):
    """What became of a folder. error: one line, "" where all went well; traceback: the whole of it; localizations: name
    of a language -> file; remove: takes out what can be without a restart.
    """

    @property
    def name(self) -> str: ...
    @property
    def error(self) -> str: ...
    @property
    def traceback(self) -> str: ...
    @property
    def localizations(self) -> Mapping[str, Path]: ...
    @property
    def remove(self) -> Callable[[], None]: ...


class Guests(Protocol):
    """Runs folders without an extension.py. `load` is called for one after the other, in the order in which they are to
    run, when the program's tables exist and before the page is built, then `loaded` once; `close` takes everything out;
    `settings` gives the keys of those that a folder has declared, `failures` what its code failed at since it was
    loaded, each beginning with the file and ending with the traceback. None of them raises what a folder does.
    """

    def accepts(self, folder: Path) -> bool: ...
    def load(self, folder: Path) -> Guest: ...
    def loaded(self) -> object: ...
    def settings(self, folder: Path) -> Sequence[str]: ...
    def failures(self, folder: Path) -> Sequence[str]: ...
    def close(self) -> None: ...
