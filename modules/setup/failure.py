"""The one error of the set-up: its text says what happened and the way out."""

from __future__ import annotations


class SetupFailed(Exception):
    """The environment cannot be made ready; `str(error)` is the whole message, to be shown without a traceback."""
