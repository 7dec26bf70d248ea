"""What git knows of a folder, without running anything of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from modules.plugins import repository


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=Me", "-c", "user.email=me@example.org")
    subprocess.run(["git", *named, "-C", str(folder), *words], check=True, capture_output=True)


def test_no_repository_is_none(tmp_path: Path) -> None:
    assert repository.read(tmp_path) is None


def test_remote_branch_commit_and_date(tmp_path: Path) -> None:
    git(tmp_path, "init", "-b", "trunk")
    assert repository.read(tmp_path) is None  # nothing is committed yet
    (tmp_path / "file").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one", "--date", "2020-01-01T00:00:00Z")
    git(tmp_path, "remote", "add", "origin", "https://example.org/mine.git")
    found = repository.read(tmp_path)
    assert found is not None
    assert (found.remote, found.branch) == ("https://example.org/mine.git", "trunk")
    assert len(found.commit) == 40
    assert found.version == found.commit[:8]
    assert found.date > 1_600_000_000
