"""Does an extension load? Tried in a process of its own, before it is put where the program finds it.

`python -m modules.plugins.installing.trial FOLDER DATA` registers its extension.py with all tables of the program,
or compiles the scripts of one of A1111's; it says what is wrong and ends with 1. `imported` runs these scripts too,
once their installer has run.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from modules.core.errors import DamagedFile, EaselError
from modules.plugins import loading, manifest
from modules.plugins.api import ExtensionApi
from modules.plugins.extension import CODE, Extension

SECONDS = 180
TRYING = "modules.trying"
"""The program that runs one of A1111's: it stands above all that this package may import."""
ROOT = Path(__file__).resolve().parents[3]


class Broken(EaselError):
    """An extension that does not load; traceback: the whole of it."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


def tried(folder: Path, *, python: str = sys.executable) -> None:
    """Raises Broken."""
    with tempfile.TemporaryDirectory(prefix="easel-trial-") as data:
        done = _process([python, "-B", "-m", __name__, str(folder), data], data)
    if done.returncode:
        said = done.stderr.strip()
        raise Broken(f"It does not load: {_last(said, done.returncode)} Nothing was changed.", said[-8000:])


def imported(folder: Path, *, python: str = sys.executable) -> list[str]:
    """Run the scripts of one of A1111's, beside a program of their own -> what of it fails, in words, where not all
    does. Raises Broken where all does, or the process ends by itself or too late.
    """
    with tempfile.TemporaryDirectory(prefix="easel-trial-") as data:
        done = _process([python, "-B", "-m", TRYING, str(folder), data], data)
        told = Path(data) / "failed.json"
        if not told.is_file():
            said = done.stderr.strip()
            raise Broken(f"It ended the program: {_last(said, done.returncode)} Nothing was changed.", said[-8000:])
        failed = json.loads(told.read_text("utf-8"))
    if failed["all"]:
        raise Broken(f"It does not load: {failed['error']} Nothing was changed.", failed["traceback"][-8000:])
    return [f"A part of it does not load: {failed['error']}"] if failed["error"] else []


def _process(words: Sequence[str], data: str) -> subprocess.CompletedProcess[str]:
    """Raises Broken where it does not end in time."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    try:
        return subprocess.run(
            words,
            cwd=data,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"It did not load within {SECONDS} seconds. Nothing was changed.") from error


def _last(said: str, code: int) -> str:
    """The last line of what it said, and where a file's syntax is wrong the file."""
    lines = said.splitlines() or [f"its process ended with {code}"]
    where = (
        [line.strip() for line in lines if line.strip().startswith("File ")][-1:] if "SyntaxError" in lines[-1] else []
    )
    return f"{': '.join((*where, lines[-1])).rstrip('.')}."


def parsed(folder: Path) -> None:
    """Python files as A1111 would run them. Raises SyntaxError."""
    scripts = folder / "scripts"
    for file in (*sorted(scripts.glob("*.py")), folder / "install.py", folder / "preload.py"):
        if file.is_file():
            ast.parse(file.read_bytes(), str(file.relative_to(folder)))


def registered(folder: Path, data: Path) -> None:
    """Its `register` with the tables of a program that makes no pictures. Raises whatever it raises."""
    from modules.generate import postprocess_steps
    from modules.generate.moments import Moments
    from modules.generate.scripts.axis_rows import builtin as axes
    from modules.generate.scripts.builtin import scripts
    from modules.generate.scripts.registry import Menus
    from modules.loading.upscale.catalog import Upscalers
    from modules.plugins.house import House
    from modules.samplers.catalog import builtin
    from modules.settings import builtin as table
    from modules.settings.options import Options

    def none() -> NoReturn:
        raise EaselError("register makes no pictures: use the studio later, in a job.")

    rows = axes()
    house = House(
        moments=Moments(),
        options=Options(table.registry(), data / "config.json"),
        catalog=builtin(),
        upscalers=Upscalers({}, lambda part: none()),
        scripts=scripts(rows, allow_code=False),
        menus=Menus(samplers=tuple, schedulers=tuple, checkpoints=tuple, find_checkpoint=str),
        axes=rows,
        steps=postprocess_steps.builtin(),
        captioners={},
        network_words=set(),
        studio=none,
        data=data,
    )
    extension = Extension(name=folder.name, folder=folder, manifest=manifest.read(folder))
    loading.register(extension)(ExtensionApi(extension, house))


def main(words: Sequence[str]) -> int:
    """0 where it loads."""
    folder, data = Path(words[0]), Path(words[1])
    try:
        registered(folder, data) if (folder / CODE).is_file() else parsed(folder)
    except DamagedFile as error:
        print(error, file=sys.stderr)
        return 1
    except BaseException:  # what it raises, an exit among it, is what the trial is for
        traceback.print_exc()
        return 1
    return 0


def leave(status: int) -> NoReturn:
    """End this process at once: threads that an extension began do not hold its trial."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
