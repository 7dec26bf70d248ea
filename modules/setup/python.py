"""Is this Python new enough? Runs on any Python from 3.7 on, so that it can say no in words."""

from __future__ import annotations

import subprocess
import sys
from typing import Callable  # noqa: UP035  (an old Python has no other)

OLDEST = (3, 11)
NEWER_COMMANDS = ("python3.12", "python3.13", "python3.11", "python3.14")


def refusal(version: tuple[int, ...] = (), runs: Callable[[str], bool] | None = None) -> str:
    """What to tell somebody whose Python is too old, "" if it is not.

    version: (major, minor, micro), of the running Python if left out; runs: is there a command of this name that works?
    """
    version = version or tuple(sys.version_info[:3])
    if version[:2] >= OLDEST:
        return ""
    has = ".".join(str(part) for part in version[:3])
    needs = ".".join(str(part) for part in OLDEST)
    newer = next((command for command in NEWER_COMMANDS if (runs or _runs)(command)), "")
    if newer:
        way = f"This machine has a newer one: start with `{newer} {sys.argv[0]}`."
    else:
        way = f"Install Python {needs} or newer (python.org or your system's packages) and start with that one."
    return f"Easel needs Python {needs} or newer, and this is Python {has}. {way}"


def _runs(command: str) -> bool:
    try:
        return subprocess.call([command, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:  # there is no such command
        return False
