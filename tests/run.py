"""The one test command: `python tests/run.py`. Further words go to pytest: `python tests/run.py -k flags`.

Makes the environment ready as launch.py does, with requirements-dev.txt on top, then runs ruff, mypy, import-linter and
pytest in it. Stops at the first that fails, with its exit code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from modules.setup.python import refusal  # noqa: E402  (the repository is not on the path before)

STAGES = (
    ("ruff", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("mypy", ("-m", "mypy")),
    ("import-linter", ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")),
    ("pytest", ("-m", "pytest", "-n", "auto", "--maxprocesses", "8", "--dist", "worksteal")),
)
"""Tests run on all cores; each process computes on one."""


def main() -> int:
    """Prepare, then run every stage -> the exit code of the first that fails, 0 if none does."""
    too_old = refusal()
    if too_old:
        print(too_old, file=sys.stderr)
        return 1
    try:
        return prepare_and_test(sys.argv[1:])
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def prepare_and_test(words: list[str]) -> int:
    # here and not above: these need a Python that `refusal` has let through
    from modules.settings.flags import parse
    from modules.setup.failure import SetupFailed
    from modules.setup.prepare import prepare, wishes

    asked = wishes(ROOT, parse([]), more=[ROOT / "requirements-dev.txt"])
    try:
        environment = prepare(ROOT, asked, os.environ, say)
    except SetupFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    for name, arguments in STAGES:
        more = words if name == "pytest" else []
        code = run(name, [str(environment.python), *arguments, *more])
        if code:
            return code
    return 0


def run(name: str, command: list[str]) -> int:
    """Run one stage in the repository's root under its name -> its exit code."""
    say(f"\n=== {name}")
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env={"OMP_NUM_THREADS": "1", **os.environ}, check=False).returncode
    if code:
        say(f"=== {name} failed with exit code {code} after {time.monotonic() - began:.0f} s")
    return code


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
