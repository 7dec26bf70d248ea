"""The memory of an installation and its lock."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modules.setup import stamp
from modules.setup.stamp import Stamp

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("finished", [True, False])
def test_read_gives_back_what_was_written(tmp_path: Path, finished: bool) -> None:
    written = Stamp(finished=finished, torch="index x", distributions=("numpy", "torch"))
    stamp.write(tmp_path / "state" / "stamp.json", written)
    assert stamp.read(tmp_path / "state" / "stamp.json") == written
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["stamp.json"]


def test_no_file_is_no_stamp(tmp_path: Path) -> None:
    assert stamp.read(tmp_path / "none.json") is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '"x"', '{"finished": true}', '{"finished": true, "torch": ""}'])
def test_a_damaged_stamp_is_an_unfinished_installation(tmp_path: Path, damage: str) -> None:
    (tmp_path / "stamp.json").write_text(damage)
    assert stamp.read(tmp_path / "stamp.json") == Stamp(finished=False)


def test_a_second_one_waits_until_the_first_lets_go(tmp_path: Path) -> None:
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with stamp.held(tmp_path / "lock", waits.set):
            order.append("second")

    with stamp.held(tmp_path / "lock", lambda: order.append("waited")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from modules.setup import stamp
with stamp.held(Path(sys.argv[1]), lambda: None) as descriptor:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1.5)"], pass_fds=(descriptor,))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are not inherited there")
def test_the_lock_lives_on_in_the_pip_of_a_killed_start(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(lock)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    waited: list[bool] = []
    with stamp.held(lock, lambda: waited.append(True)):
        assert waited == [True]
