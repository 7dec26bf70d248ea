"""Which Python environment Easel runs in, and making its own.

By default `venv/` beside launch.py. VENV_DIR names another folder, or `-` for the running Python itself. An activated
environment, `--skip-install` and EASEL_SKIP_INSTALL=1 mean: use what is there and change nothing.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

from modules.setup.failure import SetupFailed
from modules.setup.python import OLDEST
from modules.setup.requirements import installed

WINDOWS = os.name == "nt"
SCRIPTS = "Scripts/python.exe" if WINDOWS else "bin/python"
OFF = ("", "0", "false", "no", "off")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Running:
    """The interpreter that runs this: sys.prefix, sys.base_prefix, sys.executable and its package folders."""

    prefix: Path
    base_prefix: Path
    python: Path
    packages: tuple[Path, ...]

    @classmethod
    def now(cls) -> Running:
        folders = dict.fromkeys(Path(entry) for entry in sys.path if entry and "packages" in Path(entry).name)
        own = Path(sysconfig.get_path("purelib"))
        return cls(
            prefix=Path(sys.prefix),
            base_prefix=Path(sys.base_prefix),
            python=Path(sys.executable),
            packages=tuple(folders) or (own,),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Environment:
    """folder: its prefix; python: its interpreter; state: where stamp and lock lie; own: a venv that we make and keep;
    left_alone: why nothing is installed into it, "" if we may."""

    folder: Path
    python: Path
    state: Path
    own: bool
    left_alone: str = ""
    fixed_packages: tuple[Path, ...] = ()

    @property
    def packages(self) -> tuple[Path, ...]:
        """The folders that hold its distributions, looked up anew each time: a venv may just have been made."""
        if self.fixed_packages:
            return self.fixed_packages
        pattern = "Lib/site-packages" if WINDOWS else "lib/python3.*/site-packages"
        every = sorted(self.folder.glob(pattern))
        made_for = self.folder / f"lib/python{'.'.join(_made_by(self.folder)[:2])}/site-packages"
        return (made_for,) if made_for in every else tuple(every)

    @property
    def stamp(self) -> Path:
        return self.state / "easel-setup.json"

    @property
    def lock(self) -> Path:
        return self.state / "easel-setup.lock"


def choose(root: Path, environ: Mapping[str, str], running: Running, *, skip_install: bool = False) -> Environment:
    """The environment to run in. root: the repository's; environ: VENV_DIR, VIRTUAL_ENV, CONDA_PREFIX, …"""
    wanted = environ.get("VENV_DIR", "").strip()
    folder = (root / wanted if wanted and wanted != "-" else root / "venv").absolute()
    reason = _reason(environ, skip_install)
    if not reason and wanted == "-":
        return _current(running, root, "")
    if _same(running.prefix, folder):
        return _venv(folder, reason)
    activated = "" if wanted else _activated(environ, running, folder)
    if activated:
        return _outside(Path(activated), running, root)
    if reason and (wanted == "-" or not (folder / SCRIPTS).exists()):
        return _current(running, root, reason)
    return _venv(folder, reason)


def make(
    environment: Environment, running: Running, say: Callable[[str], None], *, keep_open: int | None = None
) -> None:
    """Create our own venv, or complete one whose creation was cut off; nothing to do if it has Python and pip.

    keep_open: descriptor of the lock, inherited by the process that does the work, so that it outlives a killed start.
    Raises SetupFailed: no `venv` or `ensurepip` module, no space, or made by a Python that is too old.
    """
    if not environment.own:
        return
    _refuse_old(environment.folder)
    if os.access(environment.python, os.X_OK) and "pip" in installed(environment.packages):
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupFailed(no_venv_module())
    say(f"Making a virtual environment in {environment.folder} …")
    inside = _same(running.prefix, environment.folder)  # a venv cannot make itself: only its pip can be missing
    command = [str(running.python), "-m", *(["ensurepip"] if inside else ["venv", str(environment.folder)])]
    inherit = () if keep_open is None or WINDOWS else (keep_open,)
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, pass_fds=inherit)
    if result.returncode:
        said = (result.stdout + result.stderr).strip()[-1500:]
        way = "The disk is full: free some space" if "No space left" in said else "Delete that folder"
        raise SetupFailed(f"No virtual environment could be made in {environment.folder}.\n{said}\n{way}, start again.")


def no_venv_module(
    version: tuple[int, int] = (sys.version_info[0], sys.version_info[1]),
    find: Callable[[str], str | None] = shutil.which,
) -> str:
    """What to tell somebody whose Python came without `venv` / `ensurepip`, as Debian's does."""
    name = f"python{version[0]}.{version[1]}-venv"
    way = f"`apt install {name}`" if find("apt-get") else f"your system's package for it ({name})"
    return (
        "This Python cannot make virtual environments: its venv or ensurepip module is missing. "
        f"Install it with {way} and start again."
    )


def _reason(environ: Mapping[str, str], skip_install: bool) -> str:
    if skip_install:
        return "--skip-install"
    return "EASEL_SKIP_INSTALL is set" if environ.get("EASEL_SKIP_INSTALL", "").lower() not in OFF else ""


def _activated(environ: Mapping[str, str], running: Running, folder: Path) -> str:
    """The folder of an activated environment that is not ours, or "". Conda's `base`, on by default, does not count."""
    virtual = environ.get("VIRTUAL_ENV", "")
    if virtual and not _same(Path(virtual), folder):
        return virtual
    conda = environ.get("CONDA_PREFIX", "")
    if conda and environ.get("CONDA_DEFAULT_ENV", "") != "base":
        return conda
    in_venv = not _same(running.prefix, running.base_prefix) and not _same(running.prefix, folder)
    return str(running.prefix) if in_venv else ""


def _outside(folder: Path, running: Running, root: Path) -> Environment:
    reason = "it is activated"
    if _same(running.prefix, folder):
        return _current(running, root, reason)
    python = next((path for path in (folder / SCRIPTS, folder / "python.exe") if path.exists()), running.python)
    return Environment(folder=folder, python=python, state=root / "cache", own=False, left_alone=reason)


def _current(running: Running, root: Path, reason: str) -> Environment:
    return Environment(
        folder=running.prefix,
        python=running.python,
        state=root / "cache",
        own=False,
        left_alone=reason,
        fixed_packages=running.packages,
    )


def _venv(folder: Path, reason: str) -> Environment:
    return Environment(folder=folder, python=folder / SCRIPTS, state=folder, own=True, left_alone=reason)


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _made_by(folder: Path) -> tuple[str, ...]:
    """The Python version in a venv's pyvenv.cfg as ("3", "11", …); () if the file does not say."""
    config = folder / "pyvenv.cfg"
    text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
    match = re.search(r"^version(?:_info)?\s*=\s*([\d.]+)", text, re.MULTILINE)
    return tuple(part for part in match[1].split(".") if part) if match else ()


def _refuse_old(folder: Path) -> None:
    version = _made_by(folder)[:2]
    if len(version) == 2 and (int(version[0]), int(version[1])) < OLDEST:
        needs = ".".join(str(part) for part in OLDEST)
        raise SetupFailed(
            f"{folder} was made by Python {'.'.join(version)}, and Easel needs {needs} or newer. "
            "Delete that folder and start again with a newer Python."
        )
