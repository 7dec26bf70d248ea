"""What git knows of an extension's folder. Asks plumbing commands only, which run nothing that a repository names."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

_TIME = re.compile(r"^committer .*> (\d+) [+-]\d{4}$", re.MULTILINE)
SECONDS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Repository:
    """remote: where it came from, "" = nowhere; date: of the commit, in seconds since 1970, 0 = unknown."""

    remote: str
    branch: str
    commit: str
    date: int

    @property
    def version(self) -> str:
        """A commit as people name it."""
        return self.commit[:8]


def read(folder: Path) -> Repository | None:
    """The repository whose top is this folder, None where there is none or no git."""
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    dated = _TIME.search(_git(folder, "cat-file", "commit", "HEAD"))
    return Repository(
        remote=_git(folder, "config", "--get", "remote.origin.url"),
        branch=_git(folder, "symbolic-ref", "--short", "-q", "HEAD"),
        commit=commit,
        date=int(dated[1]) if dated else 0,
    )


def _git(folder: Path, *words: str) -> str:
    """What it says, "" where it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
