"""Flags -> the program -> serve. Run by launch.py in the environment that it made ready."""

from __future__ import annotations

import os
import subprocess
import sys

from modules.core.errors import EaselError
from modules.settings.flags import parse, with_environment


def main() -> int:
    """Serve until stopped -> exit code."""
    flags = parse(with_environment(sys.argv[1:], os.environ))
    for note in flags.notes:
        print(note, flush=True)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported
    from modules import app  # heavy, and not needed for --help or a mistyped flag

    try:
        again = app.build(flags).serve()
    except EaselError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return restart() if again else 0


def restart() -> int:
    """Become a fresh process with the same flags -> its exit code, where the system cannot do that."""
    command = [sys.executable, *sys.argv]
    if os.name == "posix":
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
