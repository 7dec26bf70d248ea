"""modules.core.store: a transaction is whole or nothing; a damaged file is kept; a file is replaced or kept."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.core.errors import EaselError
from modules.core.store import Store, StoreError, write_atomically

ROOT = Path(__file__).parents[2]
STEPS = ["CREATE TABLE things (name TEXT PRIMARY KEY, size INTEGER)"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "easel.sqlite")
    made.migrate("things", STEPS)
    yield made
    made.close()


@contextlib.contextmanager
def as_a_stranger(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder with these files that we may not write. Root may write anywhere, so root becomes nobody meanwhile."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        folder.chmod(0o555)
        was = os.geteuid()
        try:
            if was == 0:
                os.seteuid(65534)
            yield folder
        finally:
            os.seteuid(was)
            folder.chmod(0o755)


posix = pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX")


def names(store: Store) -> list[str]:
    return [row["name"] for row in store.read("SELECT name FROM things ORDER BY name")]


def test_what_was_written_is_read_back_by_every_thread_and_the_next_store(store: Store) -> None:
    assert store.write("INSERT INTO things VALUES (?, ?)", ("easel", 3)) == 1
    seen: list[list[str]] = []
    thread = threading.Thread(target=lambda: seen.append(names(store)))
    thread.start()
    thread.join()
    again = Store(store.path)
    assert seen == [["easel"]]
    assert names(again) == ["easel"]
    again.close()


def test_the_journal_is_write_ahead_and_commits_are_synced(store: Store) -> None:
    assert store.read("PRAGMA journal_mode")[0][0] == "wal"
    assert store.read("PRAGMA synchronous")[0][0] == 2


@given(count=st.integers(0, 6), fail_at=st.integers(0, 6))
@settings(max_examples=25, deadline=None)
def test_a_transaction_is_whole_or_nothing(count: int, fail_at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "easel.sqlite")
        store.migrate("things", STEPS)
        with contextlib.suppress(ZeroDivisionError), store.transaction() as connection:
            for index in range(count):
                connection.execute("INSERT INTO things VALUES (?, ?)", (str(index), 1 // (index - fail_at)))
        assert names(store) == ([] if fail_at < count else [str(index) for index in range(count)])
        store.write("INSERT INTO things VALUES ('after', 0)")  # the lock and the connection are free again
        store.close()


def test_writers_of_many_threads_queue_up_and_none_is_lost(store: Store) -> None:
    def write(thread: int) -> None:
        for index in range(10):
            store.write("INSERT INTO things VALUES (?, 0)", (f"{thread}-{index}",))

    threads = [threading.Thread(target=write, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(store)) == 80


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    seen: list[list[str]] = []
    with store.transaction() as connection:
        connection.execute("INSERT INTO things VALUES ('new', 1)")
        reader = threading.Thread(target=lambda: seen.append(names(store)))
        reader.start()
        reader.join(5)
    assert seen == [[]]
    assert names(store) == ["new"]


def test_connections_of_ended_threads_are_closed(store: Store) -> None:
    kept: list[sqlite3.Connection] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: kept.append(store.connection()))
        thread.start()
        thread.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept[0].execute("SELECT 1")


def test_migration_runs_only_the_missing_steps_and_keeps_the_rows(store: Store) -> None:
    store.write("INSERT INTO things VALUES ('old', 1)")
    later = [*STEPS, "ALTER TABLE things ADD COLUMN color TEXT;\nCREATE INDEX things_color ON things(color);"]
    store.migrate("things", later)
    store.migrate("things", later)
    assert [tuple(row) for row in store.read("SELECT * FROM things")] == [("old", 1, None)]
    assert store.read("SELECT name FROM sqlite_master WHERE name = 'things_color'")
    assert store.read("SELECT version FROM parts WHERE part = 'things'")[0]["version"] == 2


def test_a_migration_that_fails_changes_nothing(store: Store) -> None:
    with pytest.raises(StoreError, match="nonsense"):
        store.migrate("things", [*STEPS, "ALTER TABLE things ADD COLUMN color TEXT", "nonsense"])
    assert [row["name"] for row in store.read("PRAGMA table_info(things)")] == ["name", "size"]
    assert store.read("SELECT version FROM parts WHERE part = 'things'")[0]["version"] == 1


def test_a_file_of_a_newer_easel_is_refused_and_left_alone(store: Store) -> None:
    store.migrate("things", [*STEPS, "SELECT 1"])
    with pytest.raises(StoreError, match=r"newer Easel.*things"):
        store.migrate("things", STEPS)
    store.write("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer Easel"):
        Store(store.path)
    assert list(store.path.parent.glob("*.broken-*")) == []


@pytest.mark.parametrize("keep", [0, 700])
def test_a_damaged_file_is_moved_aside_whole_and_a_new_one_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, keep: int
) -> None:
    path = tmp_path / "easel.sqlite"
    first = Store(path)
    first.migrate("things", STEPS)
    first.write("INSERT INTO things VALUES ('lost', 1)")
    first.close()
    damaged = path.read_bytes()[:keep] + b"not a database " * 400
    for number in (1, 2):
        path.write_bytes(damaged)
        with caplog.at_level(logging.ERROR):
            store = Store(path)
        store.migrate("things", STEPS)
        assert names(store) == []
        store.close()
        assert (tmp_path / f"easel.sqlite.broken-{number}").read_bytes() == damaged
        assert f"easel.sqlite.broken-{number}" in caplog.text


def test_damage_in_the_middle_of_the_file_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "easel.sqlite"
    first = Store(path)
    first.migrate("things", STEPS)
    with first.transaction() as connection:
        rows = [(f"{index:0200d}", index) for index in range(500)]
        connection.executemany("INSERT INTO things VALUES (?, ?)", rows)
    first.close()
    whole = path.read_bytes()
    middle = len(whole) // 8192 * 4096
    path.write_bytes(whole[:middle] + b"\xff" * 4096 + whole[middle + 4096 :])
    Store(path).close()
    assert (tmp_path / "easel.sqlite.broken-1").exists()


def test_a_full_disk_is_an_error_with_the_way_out_and_the_store_lives_on(store: Store) -> None:
    pages = store.read("PRAGMA page_count")[0][0]
    store.read(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match=r"easel\.sqlite.*full.*free some space"):
        store.write("INSERT INTO things VALUES (?, 1)", ("x" * 100_000,))
    store.read(f"PRAGMA max_page_count = {pages + 1000}")
    store.write("INSERT INTO things VALUES (?, 1)", ("x" * 100_000,))
    assert len(names(store)) == 1


def test_a_place_that_cannot_hold_a_database_is_an_easel_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EaselError, match="file/easel"):
        Store(tmp_path / "file" / "easel.sqlite")
    with pytest.raises(EaselError, match="no/such"):
        Store(tmp_path / "no/such/easel.sqlite")


@posix
def test_a_read_only_folder_is_an_error_that_says_what_to_do() -> None:
    with as_a_stranger({}) as folder, pytest.raises(StoreError, match="write access"):
        Store(folder / "easel.sqlite")


def test_after_close_every_use_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read("SELECT 1")
    with pytest.raises(StoreError, match="closed"):
        store.write("SELECT 1")


def test_two_processes_may_open_and_migrate_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from modules.core.store import Store;"
        "s = Store(Path(sys.argv[1])); s.migrate('things', ['CREATE TABLE things (n INTEGER)']);"
        "[s.write('INSERT INTO things VALUES (1)') for _ in range(20)]"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "easel.sqlite")]
    running = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    store = Store(tmp_path / "easel.sqlite")
    assert store.read("SELECT count(*) FROM things")[0][0] == 60
    store.close()


@given(st.binary(max_size=2000), st.binary(max_size=2000))
@settings(max_examples=20, deadline=None)
def test_write_atomically_then_read_gives_the_bytes(old: bytes, new: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        write_atomically(path, old)
        write_atomically(path, new)
        assert path.read_bytes() == new
        assert os.listdir(folder) == ["config.json"]


@posix
def test_write_atomically_keeps_the_mode_and_follows_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_write_atomically_keeps_the_old_file_when_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").write_text("stays")
    with pytest.raises(StoreError, match="taken could not be written"):
        write_atomically(tmp_path / "taken", b"data")
    assert (tmp_path / "taken" / "inside").read_text() == "stays"
    assert os.listdir(tmp_path) == ["taken"]


@posix
def test_write_atomically_into_a_read_only_folder_says_so_and_keeps_the_old() -> None:
    with as_a_stranger({"config.json": b"old"}) as folder:
        with pytest.raises(StoreError, match=r"config\.json.*write access"):
            write_atomically(folder / "config.json", b"data")
        assert os.listdir(folder) == ["config.json"]
        assert (folder / "config.json").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs RLIMIT_FSIZE and a POSIX system")
def test_write_atomically_keeps_the_old_file_when_the_disk_gives_out_midway(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path; from modules.core.store import *;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "write_atomically(Path(sys.argv[1]), b'x' * 100_000)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "StoreError" in ended.stderr
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["config.json"]


def test_sync_brings_what_was_written_without_it_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "easel.sqlite")
    store.migrate("t", ["CREATE TABLE t (a INTEGER)"])
    synced: list[int] = []
    real = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    store.write("INSERT INTO t VALUES (1)", synced=False)
    assert store.connection().execute("PRAGMA synchronous").fetchone()[0] == 1
    store.sync()
    store.write("INSERT INTO t VALUES (2)")
    assert store.connection().execute("PRAGMA synchronous").fetchone()[0] == 2
    assert synced == [(tmp_path / "easel.sqlite-wal").stat().st_ino]
    assert len(store.read("SELECT a FROM t")) == 2
    store.close()
