"""The program's log: lines for a person, or a JSON object a line for a collector; each with the request's id, if any.

`configure` is called once by the composition root. A job is one line, written by `jobs.queue` when it ends.
"""

from __future__ import annotations

import contextvars
import json
import logging
import time

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
NOISY = ("httpx", "httpcore", "asyncio", "diffusers", "transformers")
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="")
"""The id of the request that is being answered; "" outside of one."""


class Lines(logging.Formatter):
    """For a person: the id of the request stands behind warnings and errors."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        line = super().formatMessage(record)
        id = REQUEST.get()
        return f"{line} [request {id}]" if id and record.levelno >= logging.WARNING else line


class Objects(logging.Formatter):
    """For a collector: time, level, logger, message, request, exception, and what comes as extra={"facts": {…}}."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if REQUEST.get():
            facts["request"] = REQUEST.get()
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        more = getattr(record, "facts", {})
        return json.dumps(facts | {str(name): value for name, value in more.items() if name not in facts}, default=str)


FORMATTERS: dict[str, type[logging.Formatter]] = {"text": Lines, "json": Objects}


def configure(level: str | None, form: str) -> None:
    """level: DEBUG … CRITICAL, None = INFO; form: one of `FORMATTERS`. What this set up before goes."""
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each.formatter, tuple(FORMATTERS.values()))]:
        root.removeHandler(old)
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[form]())
    root.addHandler(handler)
    root.setLevel(level or "INFO")
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
