"""Python packages that extensions ask for: what Easel pins stays as it is, and a conflict is told before a change."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from modules.core.errors import BadRequest, EaselError
from modules.plugins.installing.sources import hidden

SECONDS = 1800
FILE = "requirements.txt"


class Conflict(BadRequest):
    """Requirements that cannot be met beside what Easel pins."""


def asked(folder: Path, said: Sequence[str]) -> list[str]:
    """The requirements of an extension: of its manifest and its requirements.txt, without comments."""
    file = folder / FILE
    lines = file.read_text("utf-8-sig", errors="replace").splitlines() if file.is_file() else []
    return _bare((*said, *lines))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packages:
    """constraints: Easel's requirements.txt; pip: the command; sites: where packages lie, () = where Python looks;
    wheels: a folder that keeps what was installed, so that going back to it needs no network.
    """

    constraints: Path
    wheels: Path
    pip: Sequence[str] = (sys.executable, "-m", "pip")
    sites: Sequence[str] = ()
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def installed(self) -> dict[str, str]:
        """Name -> version of all that is there."""
        found = importlib.metadata.distributions(path=list(self.sites) or sys.path)
        return {
            canonicalize_name(name): each.version for each in found if (name := each.metadata["Name"]) and each.version
        }

    def plan(self, requirements: Sequence[str], welcome: Sequence[str] = ()) -> dict[str, str]:
        """Name -> version of what would be installed; changes nothing. Asks pip only when something is missing.
        welcome: more of them, which come along only where pip has them. Raises Conflict.
        """
        if welcome:
            with contextlib.suppress(Conflict):
                return self.plan((*requirements, *welcome))
        for line in requirements:
            if line.startswith("-"):
                raise Conflict(f'The requirement "{hidden(line)}" is an option of pip: these are not taken.')
        self._compare(requirements)
        if self._met(requirements):
            return {}
        with tempfile.TemporaryDirectory(prefix="easel-pip-") as folder:
            report, wanted = Path(folder) / "report.json", Path(folder) / FILE
            wanted.write_text("\n".join(requirements), "utf-8")
            words = ("--dry-run", "--report", str(report), "-r", str(wanted), "-c", str(self.constraints))
            try:
                self._pip("install", *words)
            except EaselError as error:
                raise Conflict(f"Its requirements do not go with what is here. {error}") from error
            found = json.loads(report.read_text("utf-8"))["install"]
        return {canonicalize_name(each["metadata"]["name"]): each["metadata"]["version"] for each in found}

    def put(self, versions: Mapping[str, str]) -> None:
        """Install exactly these: all are fetched and built before the first changes anything. Raises EaselError."""
        if not versions:
            return
        self.wheels.mkdir(parents=True, exist_ok=True)
        pinned = [f"{name}=={version}" for name, version in sorted(versions.items())]
        place = ("--find-links", str(self.wheels))
        self._pip("wheel", "--no-deps", "--wheel-dir", str(self.wheels), *place, *pinned)
        self._pip("install", "--no-deps", "--no-index", *place, *pinned)

    def restore(self, versions: Mapping[str, str | None]) -> list[str]:
        """Bring packages to these versions, None = away -> what was done. Raises EaselError."""
        now = self.installed()
        other = {name: version for name, version in versions.items() if now.get(name) != version}
        gone = sorted(name for name, version in other.items() if version is None)
        self.put({name: version for name, version in other.items() if version is not None})
        if gone:
            self._pip("uninstall", "--yes", *gone)
        return [f"{name} {version or 'removed'}" for name, version in sorted(other.items())]

    def _compare(self, requirements: Sequence[str]) -> None:
        """Each requirement with Easel's own pin of the package."""
        pins = {canonicalize_name(each.name): each for each in _understood(_lines(self.constraints))}
        wrong = []
        for each in _understood(requirements):
            pin = pins.get(canonicalize_name(each.name))
            version = next((spec.version for spec in pin.specifier if spec.operator == "=="), "") if pin else ""
            if version and _applies(each) and not each.specifier.contains(version, prereleases=True):
                wrong.append(f"it asks for {each}, and Easel runs on {each.name} {version}")
        if wrong:
            raise Conflict(f"Its requirements conflict with Easel's: {'; '.join(wrong)}. Nothing was changed.")

    def _met(self, requirements: Sequence[str]) -> bool:
        now = self.installed()
        for line in requirements:
            try:
                each = Requirement(line)
            except InvalidRequirement:
                return False
            version = now.get(canonicalize_name(each.name))
            fits = version is not None and each.specifier.contains(version, prereleases=True)
            if _applies(each) and (not fits or each.extras or each.url):
                return False
        return True

    def _pip(self, act: str, *words: str) -> None:
        common = ("--disable-pip-version-check", "--no-input", "--no-color")
        try:
            done = subprocess.run(
                [*self.pip, act, *common, *words],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environ},
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EaselError(f"pip {act} failed: {error}") from error
        if done.returncode:
            _, mark, why = done.stdout.partition("The conflict is caused by:")
            said = f"{done.stderr.strip()} {mark}{why}".strip() or done.stdout.strip()
            raise EaselError(f"pip {act}: {hidden(said)[-2000:]}")


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[dict[str, str | None], dict[str, str]]:
    """(what changed as it was, None = absent; what changed as it is)."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return {name: before.get(name) for name in names}, {name: after[name] for name in names if name in after}


def _lines(file: Path) -> list[str]:
    return _bare(file.read_text("utf-8").splitlines()) if file.is_file() else []


def _bare(lines: Sequence[str]) -> list[str]:
    stripped = [line.split(" #")[0].strip() for line in lines]
    return [line for line in dict.fromkeys(stripped) if line and not line.startswith("#")]


def _understood(lines: Sequence[str]) -> list[Requirement]:
    found = []
    for line in lines:
        try:
            found.append(Requirement(line))
        except InvalidRequirement:  # a path, an address: pip knows
            continue
    return found


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()
