"""A finished cell is found again by whoever asks the same, also after the process was killed; others are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modules.core.store import Store
from modules.core.types import JsonObject
from modules.jobs.cells import Cells
from modules.jobs.progress import Control
from modules.jobs.queue import Queue

ROOT = Path(__file__).parents[2]

DIES = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from modules.core.store import Store
from modules.jobs.cells import Cells
cells = Cells(Store(Path(sys.argv[2])))
for number in range(5):
    cells.put("plot", number, {"n": number}, asked=f"question {number}")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "easel.sqlite")


def test_what_was_put_is_got_by_the_same_question_alone(store: Store) -> None:
    cells = Cells(store)
    cells.put("plot", 3, {"pictures": ["ä"], "info": {"seed": 2**63}}, asked="a")
    assert cells.get("plot", 3, asked="a") == {"pictures": ["ä"], "info": {"seed": 2**63}}
    assert cells.get("plot", 3, asked="b") is None
    assert cells.get("plot", 4, asked="a") is None
    assert cells.get("other", 3, asked="a") is None


def test_a_cell_made_anew_replaces_the_old_one(store: Store) -> None:
    cells = Cells(store)
    cells.put("plot", 0, {"n": 1}, asked="old")
    cells.put("plot", 0, {"n": 2}, asked="new")
    assert (cells.get("plot", 0, asked="old"), cells.get("plot", 0, asked="new")) == (None, {"n": 2})
    assert cells.count("plot") == 1


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_cells_outlast_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "easel.sqlite"
    ended = subprocess.run([sys.executable, "-c", DIES, str(ROOT), str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    cells = Cells(Store(path))
    assert [cells.get("plot", number, asked=f"question {number}") for number in range(5)] == [
        {"n": number} for number in range(5)
    ]


def test_tidying_keeps_the_cells_of_jobs_that_are_still_to_run(store: Store) -> None:
    def nothing(request: JsonObject, control: Control) -> JsonObject:
        return {}

    queue, cells = Queue(store, {"script": nothing}), Cells(store)
    waiting = queue.submit("script", {})
    for job in (waiting, "long gone"):
        cells.put(job, 0, {}, asked="")
    assert cells.tidy() == 1
    assert (cells.count(waiting), cells.count("long gone")) == (1, 0)
    queue.start()
    queue.wait(waiting, 10)
    queue.stop(10)
    assert cells.tidy() == 1
    assert cells.count(waiting) == 0
