"""Runs the `install.py` of enabled extensions, each in a process of its own, when something about it has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extensions:
    """folders: where extensions lie, each in its own folder; settings: config.json with A1111's `disabled_extensions`
    and `disable_all_extensions`; off: none is wanted at all; memory: file with the last successful runs."""

    folders: tuple[Path, ...]
    settings: Path
    memory: Path
    off: bool = False

    def enabled(self, say: Callable[[str], None]) -> list[Path]:
        """The folders of the enabled extensions that have an install.py, by name."""
        if self.off:
            return []
        values = _read(self.settings, say)
        if values.get("disable_all_extensions", "none") != "none":
            return []
        disabled = values.get("disabled_extensions")
        skip = {str(name) for name in disabled} if isinstance(disabled, list) else set()
        found = {
            entry.resolve(): entry for folder in self.folders if folder.is_dir() for entry in sorted(folder.iterdir())
        }
        return [entry for entry in found.values() if entry.name not in skip and (entry / "install.py").is_file()]


def run_installers(
    extensions: Extensions,
    *,
    root: Path,
    python: Path,
    constraints: Path,
    environ: Mapping[str, str],
    mark: str,
    say: Callable[[str], None],
) -> list[str]:
    """Run what is due -> names of the extensions whose installer failed; each is reported and the others still run.

    mark: names the environment's making; another one means that every installer is due. The installers see the
    repository on PYTHONPATH (they `import launch`) and Easel's pins as pip constraints.
    """
    remembered = _read(extensions.memory, say)
    done: dict[str, str] = {}
    failed: list[str] = []
    for folder in extensions.enabled(say):
        state = f"{mark} {fingerprint(folder)}"
        if remembered.get(str(folder)) == state or _run(folder, root, python, constraints, environ, say):
            done[str(folder)] = state
        else:
            failed.append(folder.name)
    if done != remembered:
        _write(extensions.memory, done)
    return failed


def fingerprint(folder: Path) -> str:
    """Changes when the extension's install.py, its requirement files or its git commit change."""
    names = ["install.py", *sorted(path.name for path in folder.glob("*requirements*.txt"))]
    names += [".git/HEAD", ".git/FETCH_HEAD", ".git/ORIG_HEAD", ".git/index"]
    digest = hashlib.sha256()
    for path in (folder / name for name in names):
        if path.is_file():
            status = path.stat()
            digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns};".encode())
    return digest.hexdigest()[:16]


def _run(
    folder: Path,
    root: Path,
    python: Path,
    constraints: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> bool:
    say(f"Extension {folder.name}: running its install.py …")
    path = os.pathsep.join(part for part in (str(root), environ.get("PYTHONPATH", "")) if part)
    settings = {**environ, "PYTHONPATH": path, "PIP_CONSTRAINT": str(constraints)}
    code = subprocess.run([str(python), str(folder / "install.py")], env=settings, cwd=root, check=False).returncode
    if code:
        say(f"Extension {folder.name}: its install.py failed with exit code {code}; Easel starts all the same.")
    return code == 0


def _read(path: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """A JSON object from a file; {} if there is none. One that cannot be read is reported and counts as empty."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        say(f"{path} cannot be read ({error}); extension installers run as if it were empty.")
        return {}
    return values if isinstance(values, dict) else {}


def _write(path: Path, values: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(values, indent=1), encoding="utf-8")
    os.replace(draft, path)
