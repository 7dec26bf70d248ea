"""A disk that is full or read-only: the job that meets it fails with words for a person, and the next one runs."""

from __future__ import annotations

import datetime
import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from modules.core.store import StoreError
from modules.core.types import JsonObject
from modules.imaging import saving
from modules.imaging.filenames import NameFacts
from modules.imaging.policy import SavePolicy
from modules.jobs.progress import Control
from modules.jobs.queue import Queue
from modules.settings import builtin
from modules.settings.options import Snapshot
from tests.jobs.runners import WAIT, Make


@pytest.fixture
def queue(make: Make, tmp_path: Path) -> Queue:
    """Its jobs save one picture of `side` pixels into `folder`."""
    policy = SavePolicy.of(Snapshot(builtin.registry()))

    def paint(request: JsonObject, control: Control) -> JsonObject:
        saved = saving.save(
            Image.effect_noise((request["side"], request["side"]), 90),
            "a cat",
            folder=Path(request["folder"]),
            name=NameFacts(seed=1),
            policy=policy,
            now=datetime.datetime.now(),
        )
        return {"path": str(saved.path)}

    made: Queue = make({"paint": paint})
    made.start()
    return made


def painted(queue: Queue, folder: Path, side: int = 16) -> tuple[str, str]:
    """(state, error) of a job."""
    job = queue.wait(queue.submit("paint", {"folder": str(folder), "side": side}), WAIT)
    return job.state, job.error or ""


@pytest.fixture
def end_files_at() -> Iterator[Callable[[int], None]]:
    """From now on files end at so many bytes, as on a disk that is nearly full; -1: no more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size < 0 else size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_picture_that_does_not_fit_fails_its_job_alone(
    queue: Queue, tmp_path: Path, end_files_at: Callable[[int], None]
) -> None:
    folder = tmp_path / "outputs"
    end_files_at(2**20)
    state, error = painted(queue, folder, 1500)
    assert state == "failed"
    assert str(folder) in error
    assert "Unexpected" not in error
    assert painted(queue, folder)[0] == "done"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1, "half of a file was left"


@pytest.mark.parametrize(
    ("code", "way_out"), [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only")]
)
def test_a_full_or_read_only_disk_is_said_and_leaves_nothing(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, way_out: str
) -> None:
    """The system says so when the bytes of a picture are to reach the disk."""
    folder, fsync = tmp_path / "outputs", os.fsync
    folder.mkdir()

    def full(handle: int) -> None:
        if os.path.dirname(os.readlink(f"/proc/self/fd/{handle}")) == str(folder):
            raise OSError(code, os.strerror(code))
        fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        state, error = painted(queue, folder)
    assert (state, str(folder) in error, way_out in error) == ("failed", True, True), error
    assert not list(folder.iterdir())
    assert painted(queue, folder)[0] == "done"


def test_a_database_that_cannot_grow_goes_on_when_there_is_room_again(
    queue: Queue, tmp_path: Path, end_files_at: Callable[[int], None]
) -> None:
    queue.line.pause()
    jobs = [queue.submit("paint", {"folder": str(tmp_path / "outputs"), "side": 16}) for _ in range(2)]
    end_files_at(10_000)
    with pytest.raises(StoreError, match=str(tmp_path)):
        queue.submit("paint", {"folder": "x" * 20_000, "side": 16})
    end_files_at(-1)
    queue.line.resume()
    assert [queue.wait(id, WAIT).state for id in jobs] == ["done", "done"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(queue: Queue, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    state, error = painted(queue, folder)
    folder.chmod(0o700)
    assert (state, str(folder) in error, "write access" in error) == ("failed", True, True)
    assert painted(queue, folder)[0] == "done"


def test_outputs_that_are_a_file_or_on_a_read_only_system(queue: Queue, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    for folder in (blocked, blocked / "below", Path("/proc/outputs")):
        state, error = painted(queue, folder)
        assert state == "failed"
        assert str(folder) in error or folder.name in error
        assert "Unexpected" not in error, error
    assert painted(queue, tmp_path / "good")[0] == "done"
