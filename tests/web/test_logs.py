"""The log: a level, lines for a person or objects for a collector."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from modules.web import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    root.setLevel(level)


@pytest.mark.parametrize(
    ("level", "told"), [(None, "info warning"), ("DEBUG", "debug info warning"), ("WARNING", "warning"), ("ERROR", "")]
)
def test_the_level_says_what_is_told(level: str | None, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level, "text")
    for name in ("debug", "info", "warning"):
        getattr(logging.getLogger("modules.x"), name)("it was %s", name)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == told.split()


def test_each_line_is_an_object_with_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(None, "json")
    logs.configure(None, "json")  # the second takes the first one's place
    token = logs.REQUEST.set("r7")
    try:
        logging.getLogger("modules.x").info("a\nb", extra={"facts": {"job": "one", "seconds": 1.5}})
    finally:
        logs.REQUEST.reset(token)
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found.items() >= {"level": "INFO", "message": "a\nb", "request": "r7", "job": "one", "seconds": 1.5}.items()


def test_a_person_sees_the_requests_id_behind_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(None, "text")
    token = logs.REQUEST.set("r8")
    try:
        logging.getLogger("modules.x").warning("odd")
    finally:
        logs.REQUEST.reset(token)
    assert capsys.readouterr().err.strip().endswith("WARNING modules.x: odd [request r8]")
