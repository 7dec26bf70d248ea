"""launch.py as a person starts it, short of installing anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modules.settings.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


def launch(*words: str, program: str = "launch.py", **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / program), *words],
        env={**os.environ, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("program", ["launch.py", "webui.py"])
def test_version_is_told_without_preparing_anything(program: str) -> None:
    done = launch("--version", program=program)
    assert (done.returncode, done.stdout) == (0, f"Easel {VERSION}\n")


@pytest.mark.parametrize("program", ["launch.py", "webui.py"])
def test_a_mistyped_flag_stops_the_start_before_anything_is_installed(program: str) -> None:
    done = launch("--lowvrm", program=program)
    assert done.returncode == 2
    assert "--lowvram" in done.stderr
    assert done.stdout == ""


def test_flags_from_the_environment_are_read() -> None:
    done = launch(COMMANDLINE_ARGS="--version")
    assert (done.returncode, done.stdout) == (0, f"Easel {VERSION}\n")


def test_setup_only_leaves_an_environment_alone_when_told_to() -> None:
    done = launch("--setup-only", EASEL_SKIP_INSTALL="1", VENV_DIR="-")
    assert done.returncode == 0, done.stderr
    assert "is left alone (EASEL_SKIP_INSTALL is set)" in done.stdout
    assert "The environment is ready" in done.stdout
