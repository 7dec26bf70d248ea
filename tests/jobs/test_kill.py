"""kill -9 at random moments of making pictures: no finished one is lost, none is half written, no job is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from modules.core.store import Store
from modules.core.types import JsonObject
from modules.jobs.history import History
from modules.jobs.progress import Control
from modules.jobs.queue import Queue

ROOT = Path(__file__).parents[2]
KILLS = 120
pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")


class Painters:
    """Starts painters one after the other and kills each. lines: all that they said."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("killed_painter.py")), str(ROOT), str(data)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines: list[str] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.decode())
                self._news.notify_all()

    def _until(self, word: str, start: int) -> str:
        """The first line from `start` on that begins with this word."""
        with self._news:
            assert self._news.wait_for(lambda: any(line.startswith(word) for line in self.lines[start:]), 60), word
            return next(line for line in self.lines[start:] if line.startswith(word))

    def run(self, seconds: float, *, after: str = "") -> None:
        """Start one and kill it some time after it said `after` ("": after it began)."""
        start = len(self.lines)
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        pid = int(self._until("pid", start).split()[1])
        if after:
            self._until(after, start)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        self._until("ended", start)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

    def said(self, word: str) -> list[str]:
        return [line.split(maxsplit=1)[1].strip() for line in self.lines if line.startswith(f"{word} ")]


def finish(request: JsonObject, control: Control) -> JsonObject:
    return {"pictures": []}


def tormented(data: Path, kills: int, seed: int) -> Painters:
    """Every other time at any moment of a process' life; in between so late that a job was done before."""
    chance, painters = random.Random(seed), Painters(data)
    for number in range(kills):
        if number % 2:
            painters.run(chance.uniform(0, 0.05), after="done")
        else:
            painters.run(chance.uniform(0, 0.12))
    painters.close()
    return painters


def test_nothing_is_lost_however_often_the_process_is_killed(tmp_path: Path) -> None:
    painters = tormented(tmp_path, KILLS, seed=KILLS)
    files = [path for path in (tmp_path / "outputs").iterdir() if not path.name.startswith(".")]
    for path in files:
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
                assert image.size == (96, 96)
                assert image.info["parameters"]
    made = painters.said("made")
    assert len(made) > KILLS, "hardly anything was made between the kills"
    assert set(made) <= {str(path) for path in files}, "a finished picture is gone"
    store = Store(tmp_path / "easel.sqlite")
    assert set(made) <= {picture.path for picture in History(store).latest(10**6)}, "the history forgot a picture"
    queue = Queue(store, {"paint": finish})
    queue.start()
    before = queue.list(limit=10**6)
    assert set(painters.said("id")) <= {job.id for job in before}
    assert {queue.wait(job.id, 60).state for job in before} == {"done"}
    assert any(job.attempts > 1 for job in queue.list(limit=10**6)), "no kill met a running job"
    assert not list(tmp_path.glob("*.broken-*"))
    queue.stop(10)
    store.close()
