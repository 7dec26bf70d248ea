"""`errors`: telling of failures."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

__all__ = [
    "check_versions",
    "display",
    "display_once",
    "format_exception",
    "format_traceback",
    "get_exceptions",
    "print_error_explanation",
    "record_exception",
    "report",
    "run",
]

log = logging.getLogger("modules.errors")

exception_records: list[dict[str, Any]] = []
_told: set[str] = set()


def format_traceback(tb: Any) -> list[list[str]]:
    import traceback

    return [[f"{each.filename}, line {each.lineno}, {each.name}", each.line or ""] for each in traceback.extract_tb(tb)]


def format_exception(e: BaseException, tb: Any) -> dict[str, Any]:
    return {"exception": str(e), "traceback": format_traceback(tb)}


def get_exceptions() -> list[dict[str, Any]]:
    return list(reversed(exception_records))


def record_exception() -> None:
    _, error, tb = sys.exc_info()
    if error is not None:
        exception_records.append(format_exception(error, tb))
        del exception_records[:-5]


def report(message: str, *, exc_info: bool = False) -> None:
    """A line in the log, with the traceback if asked for."""
    record_exception()
    log.error("%s", message, exc_info=exc_info)


def print_error_explanation(message: str) -> None:
    record_exception()
    log.error("%s", message)


def display(e: Exception, task: str, *, full_traceback: bool = False) -> None:
    record_exception()
    log.error("%s: %s: %s", task or "error", type(e).__name__, e, exc_info=e)


def display_once(e: Exception, task: str) -> None:
    record_exception()
    if task not in _told:
        _told.add(task)
        display(e, task)


def run(code: Callable[[], Any], task: str) -> None:
    try:
        code()
    except Exception as error:
        display(error, task)


def check_versions() -> None:
    """Versions are pinned."""
