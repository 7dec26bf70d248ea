"""`launch` and `modules.launch_utils`: what install.py scripts and extensions call to install things."""

from __future__ import annotations

import argparse
import os
import subprocess
import types
from typing import Any

from modules.setup.guests import git, index_url, is_installed, python, run, run_pip

__all__ = ["git", "index_url", "is_installed", "python", "run", "run_pip"]

dir_repos = "repositories"
default_command_live = False


def __getattr__(name: str) -> Any:
    if name == "args":
        from modules.compat import room as rooms
        from modules.compat import shared

        try:
            rooms.current()
        except Exception:
            return argparse.Namespace(skip_install=False)
        return shared.cmd_opts()
    if name in ("script_path", "extensions_dir", "data_path"):
        from modules.compat import places

        return getattr(places, name)
    raise AttributeError(f"launch has no {name}")


def check_run(command: str) -> bool:
    return subprocess.run(command, shell=True, capture_output=True, check=False).returncode == 0


def check_run_python(code: str) -> bool:
    return check_run(f'"{python}" -c "{code}"')


def run_python(code: str, desc: str | None = None, errdesc: str | None = None) -> str:
    return run(f'"{python}" -c "{code}"', desc, errdesc)


def git_clone(url: str, dir: str, name: str, commithash: str | None = None) -> None:
    """Clone into a folder, or move the clone there to a commit. Raises RuntimeError."""
    if not os.path.exists(dir):
        run(
            f'"{git}" clone --config core.filemode=false "{url}" "{dir}"',
            f"Cloning {name} into {dir}",
            f"Couldn't clone {name}",
        )
    if commithash is None:
        return
    there = subprocess.run(
        [git, "-C", dir, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if there != commithash:
        run(f'"{git}" -C "{dir}" fetch', f"Fetching updates for {name}", f"Couldn't fetch {name}")
        run(f'"{git}" -C "{dir}" checkout {commithash}', f"Checking out {commithash}", f"Couldn't check out {name}")


def git_pull_recursive(dir: str) -> None:
    """Pull every clone below a folder."""
    for subdir, _, _ in os.walk(dir):
        if os.path.exists(os.path.join(subdir, ".git")):
            subprocess.run([git, "-C", subdir, "pull", "--autostash"], check=False)


def commit_hash() -> str:
    return "<none>"


def git_tag() -> str:
    """The version of A1111 whose interface this is."""
    return "v1.10.1"


def repo_dir(name: str) -> str:
    return os.path.join(dir_repos, name)


def run_extension_installer(extension_dir: str) -> None:
    """Run a folder's install.py."""
    file = os.path.join(extension_dir, "install.py")
    if os.path.isfile(file):
        subprocess.run([python, file], cwd=extension_dir, check=False)


def list_extensions(settings_file: str) -> list[str]:
    from modules.compat import room as rooms

    return [each.name for each in rooms.current().loaded]


def requirements_met(requirements_file: str) -> bool:
    """Whether every line of the file is satisfied."""
    from importlib import metadata

    from packaging.requirements import InvalidRequirement, Requirement

    with open(requirements_file, encoding="utf8") as file:
        lines = [line.split("#")[0].strip() for line in file]
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        try:
            if not wanted.specifier.contains(metadata.version(wanted.name), prereleases=True):
                return False
        except metadata.PackageNotFoundError:
            return False
    return True


def prepare_environment() -> None:
    """The environment is ready when extensions are loaded."""


def facade() -> types.ModuleType:
    """This module as `launch`."""
    made = types.ModuleType("launch", __doc__)
    for name, value in globals().items():
        if not name.startswith("_"):
            setattr(made, name, value)
    made.__getattr__ = __getattr__  # type: ignore[method-assign]
    return made
