"""Runs pip in an environment and turns its failures into words. The only place that starts pip."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modules.setup.failure import SetupFailed

GIGABYTE = 1 << 30
DISK_FULL = ("No space left on device", "[Errno 28]", "not enough space on the disk", "Disk quota exceeded")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pip:
    """python: the environment's interpreter; keep_open: descriptor of the lock, inherited so that it outlives us."""

    python: Path
    environ: Mapping[str, str]
    keep_open: int | None = None

    def install(self, requirements: Sequence[str], *, constraints: Path, alone: bool = False) -> None:
        """`pip install` these at once, other pins holding as constraints; alone: without what they depend on. Raises
        SetupFailed.
        """
        bare = ["--no-deps"] if alone else []
        self.run(["pip", "install", *requirements, *bare, "--constraint", str(constraints), *self._index()])

    def run(self, arguments: Sequence[str]) -> None:
        """Run `python -m <arguments>`, its words going straight to the terminal; raises SetupFailed."""
        command = [str(self.python), "-m", *arguments]
        code, said = _tell(command, self._environ(), self.keep_open)
        if code:
            raise SetupFailed(explain(code, said, " ".join(command), self.python))

    def finds(self, requirement: str) -> bool:
        """Can pip find this requirement where it is configured to look? Nothing is installed."""
        arguments = ["install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet", requirement, *self._index()]
        command = [str(self.python), "-m", "pip", *arguments]
        return subprocess.run(command, capture_output=True, env=self._environ(), check=False).returncode == 0

    def _index(self) -> list[str]:
        """A1111's INDEX_URL: another index instead of the configured one."""
        index = self.environ.get("INDEX_URL", "").strip()
        return ["--index-url", index] if index else []

    def _environ(self) -> dict[str, str]:
        return {**self.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def need_space(
    folder: Path, gigabytes: int, free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> None:
    """Raises SetupFailed unless the disk of `folder` (which need not exist yet) has that many gigabytes free."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    have = free(there)
    if have < gigabytes * GIGABYTE:
        raise SetupFailed(
            f"The disk is too full: installing needs about {gigabytes} GB, and {folder} has {have / GIGABYTE:.1f} GB "
            "free. Free some space, or set VENV_DIR to a folder on a larger disk, and start again."
        )


def explain(code: int, said: str, command: str, python: Path) -> str:
    """A person's message for a pip that failed: its exit code, its error text and the command as it was run."""
    if any(mark in said for mark in DISK_FULL):
        return (
            f"The disk filled up while pip was installing (into {python.parent.parent}, unpacking in "
            f"{tempfile.gettempdir()}). Free some space, or set VENV_DIR and TMPDIR to folders on a larger disk, "
            "and start again: it goes on where it stopped."
        )
    return (
        f"pip ended with exit code {code}; the reason is above. Command: {command}\n"
        "Start again to go on where it stopped. Without a network connection only --skip-install starts."
    )


def _tell(command: list[str], environ: Mapping[str, str], keep_open: int | None) -> tuple[int, str]:
    """Run a command: stdout is the terminal's (pip draws its progress there), stderr is passed on and kept."""
    inherit = () if keep_open is None or os.name == "nt" else (keep_open,)
    said: list[str] = []
    with subprocess.Popen(command, env=dict(environ), stderr=subprocess.PIPE, pass_fds=inherit) as process:
        assert process.stderr is not None
        for line in process.stderr:
            text = line.decode("utf-8", errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            said.append(text)
        return process.wait(), "".join(said[-50:])
