"""Errors with words for a person: what happened, to which thing, and the way out.

Everything Easel raises on purpose is an `EaselError`. The web layer turns `BadRequest` into 422, `NotFound` into 404
and any other `EaselError` into 500 with its message; anything else is a bug and is logged with its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_NAME = 200
"""Characters of a wrong name that a message repeats: it goes into logs, and anybody may send a megabyte."""


class EaselError(Exception):
    """A failure that a person can act on; `str(error)` is the whole message."""


class BadRequest(EaselError):
    """Input that cannot be used. `field` names the request field or option key (dotted path, "" if none)."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotFound(EaselError):
    """A named thing that is not there. The message offers the nearest known name, or the first few."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), *, field: str = "", hint: str = "") -> None:
        super().__init__(unknown(kind, name, known, hint))
        self.kind = kind
        self.name = name
        self.field = field
        self.hint = hint


class DamagedFile(EaselError):
    """A file on disk that cannot be used as what it claims to be; the message has its name and the reason."""


class Forbidden(EaselError):
    """Something that this server was not started for; the message says what its owner can do."""


class NoCheckpoint(EaselError):
    """There is no model to make pictures with; the message says where to put one."""


class Interrupted(Exception):
    """A signal, not an error: a listener wants sampling to stop; `generate` decodes what is there."""


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> str:
    """A sentence about a wrong name: what it is, the nearest right ones, and `hint` as the way out."""
    known = list(known)
    folded = {candidate.casefold(): candidate for candidate in known}
    near = [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]
    if near:
        offer = " Did you mean " + " or ".join(f'"{candidate}"' for candidate in near) + "?"
    elif known:
        offer = " Known: " + ", ".join(known[:12]) + (", …" if len(known) > 12 else "") + "."
    else:
        offer = ""
    shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
    return f'{kind} "{shown}" not found.{offer}' + (f" {hint}" if hint else "")
