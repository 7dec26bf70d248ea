"""Too old a Python is told so in words, by itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from modules.setup.python import refusal

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (3, 14, 0), (4, 0, 0)])
def test_new_enough_is_not_refused(version: tuple[int, ...]) -> None:
    assert refusal(version, lambda command: False) == ""


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 8, 18), (2, 7, 18)])
def test_the_refusal_names_both_versions_and_a_way_out(version: tuple[int, ...]) -> None:
    told = refusal(version, lambda command: False)
    assert "3.11" in told
    assert ".".join(map(str, version)) in told
    assert "Install Python" in told


def test_a_newer_python_that_works_is_offered() -> None:
    assert "start with `python3.13 " in refusal((3, 8, 0), lambda command: command == "python3.13")


def test_the_running_python_is_new_enough() -> None:
    assert refusal() == ""


@pytest.mark.parametrize("name", ["launch.py", "tests/run.py", "modules/setup/python.py", "modules/setup/guests.py"])
def test_what_an_old_python_reads_first_is_in_its_language(name: str) -> None:
    ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_launch_needs_nothing_outside_the_standard_library() -> None:
    script = "import launch, modules.setup.prepare, modules.settings.flags"  # -S: no package folder at all
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
