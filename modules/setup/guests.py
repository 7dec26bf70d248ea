"""What extensions' install.py scripts call as `launch.is_installed`, `launch.run_pip`, `launch.run`: A1111's interface.

`launch.py` passes these names on. They act on the Python that runs the script, which is the environment's.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys

python = sys.executable
git = os.environ.get("GIT", "git")
index_url = os.environ.get("INDEX_URL", "")
args = argparse.Namespace(skip_install=False)


def is_installed(package: str) -> bool:
    """Is there an importable module or a distribution of this name?"""
    from importlib.metadata import version  # Python 3.7, which is to be told that it is too old, has none

    try:
        if importlib.util.find_spec(package) is not None:
            return True
        version(package)
    except (ModuleNotFoundError, ValueError):  # PackageNotFoundError is a ModuleNotFoundError
        return False
    return True


def run(
    command: str,
    desc: str | None = None,
    errdesc: str | None = None,
    custom_env: dict[str, str] | None = None,
    live: bool = False,
) -> str:
    """Run a shell command -> what it wrote to stdout ("" when live); RuntimeError with its output if it fails."""
    if desc:
        print(desc, flush=True)
    pipe = None if live else subprocess.PIPE
    done = subprocess.run(
        command, shell=True, env=custom_env, stdout=pipe, stderr=pipe, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        output = f"{done.stdout or ''}{done.stderr or ''}".strip()
        raise RuntimeError(f"{errdesc or 'A command failed'}: {command} (exit code {done.returncode})\n{output}")
    return done.stdout or ""


def run_pip(command: str, desc: str | None = None, live: bool = False) -> str:
    """`pip <command>` in this environment, e.g. "install segment-anything"; RuntimeError if it fails."""
    index = f' --index-url "{index_url}"' if index_url else ""
    what = desc or command
    line = f'"{python}" -m pip {command} --prefer-binary{index}'
    return run(line, desc=f"Installing {what}", errdesc=f"Could not install {what}", live=live)
