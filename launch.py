"""The way in: `python launch.py`.

Makes the environment ready (see modules/setup) and starts the web UI in it. Until then nothing outside Python's
standard library is imported. Extensions' install.py scripts import this file for `is_installed`, `run_pip` and `run`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from modules.setup.guests import args, git, is_installed, python, run, run_pip  # noqa: F401  (for install.py scripts)
from modules.setup.python import refusal

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Prepare, then become the web UI -> exit code."""
    too_old = refusal()
    if too_old:
        print(too_old, file=sys.stderr)
        return 1
    try:
        return prepare_and_start()
    except KeyboardInterrupt:
        print("\nStopped. The next start goes on from here.", file=sys.stderr)
        return 130


def prepare_and_start() -> int:
    # here and not above: these need a Python that `refusal` has let through
    from modules.settings.flags import parse, with_environment
    from modules.setup.failure import SetupFailed
    from modules.setup.prepare import prepare, wishes

    words = with_environment(sys.argv[1:], os.environ)
    flags = parse(words)
    try:
        environment = prepare(ROOT, wishes(ROOT, flags), os.environ, say)
    except SetupFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    if flags.setup_only or flags.exit:
        say(f"The environment is ready: {environment.folder}")
        return 0
    return start(environment.python, words)


def start(interpreter: Path, words: list[str]) -> int:
    """Run webui.py with these flags in the environment's Python; on POSIX this process becomes it."""
    command = [str(interpreter), str(ROOT / "webui.py"), *words]
    settings = {key: value for key, value in os.environ.items() if key != "COMMANDLINE_ARGS"}  # it is in `words`
    if os.name == "posix":
        os.execve(command[0], command, settings)
    return subprocess.run(command, env=settings, check=False).returncode


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
