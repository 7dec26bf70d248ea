"""The one test command: `python tests/run.py`. Further words go to pytest: `python tests/run.py -k flags`.

Makes the environment ready as launch.py does, with requirements-dev.txt on top, then runs ruff, and if it finds
nothing, mypy, import-linter and pytest beside each other. Ends with the exit code of the first that failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from modules.setup.python import refusal  # noqa: E402  (the repository is not on the path before)

PROCESSES = min(8, os.cpu_count() or 1)
"""Of pytest, each computing on one core; with one more than there are, flows that wait for a page failed by time."""

QUICK = {"ruff": ("-m", "ruff", "check", "."), "ruff format": ("-m", "ruff", "format", "--check", ".")}
BESIDE = {
    "mypy": ("-m", "mypy"),
    "import-linter": ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
}
"""One process each: they run while the tests do, and what they say is printed at their end."""
TESTS = ("-m", "pytest", "-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "25")
"""A file at a time, so that what a file prepares (a server, a page) is prepared once; the order is conftest.py's."""


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
    python = str(environment.python)
    for name, arguments in QUICK.items():
        code = run(name, [python, *arguments])
        if code:
            return code
    with ThreadPoolExecutor(1) as pool:
        others = [pool.submit(run, name, [python, *arguments], aside=True) for name, arguments in BESIDE.items()]
        code = run("pytest", [python, *TESTS, *words])
        return next(filter(None, [*(other.result() for other in others), code]), 0)


def run(name: str, command: list[str], *, aside: bool = False) -> int:
    """Run one stage in the repository's root under its name -> its exit code; aside: its words come all at its end."""
    if not aside:
        say(f"\n=== {name}")
    began = time.monotonic()
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={"OMP_NUM_THREADS": "1", **os.environ},
        check=False,
        text=True,
        stdout=subprocess.PIPE if aside else None,
        stderr=subprocess.STDOUT if aside else None,
    )
    if aside:
        say(f"\n=== {name} (beside pytest)\n{ended.stdout}")
    if ended.returncode:
        say(f"=== {name} failed with exit code {ended.returncode} after {time.monotonic() - began:.0f} s")
    return ended.returncode


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
