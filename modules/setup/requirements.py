"""Pinned requirements against what lies in an environment's package folders, without starting or importing pip."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from modules.setup.failure import SetupFailed

PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+_-]+)")
INFO_FOLDERS = (".dist-info", ".egg-info")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pin:
    """One line of a requirements file: `name==version`; the name in its normal form (lower case, dashes). alone: what
    it says to depend on is not installed with it (the line ends in `# alone: why`).
    """

    name: str
    version: str
    alone: bool = False

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    def met_by(self, version: str | None) -> bool:
        """Is this installed version the pinned one? A local part (`+cpu`) counts only if the pin has one."""
        if version is None:
            return False
        return version == self.version or ("+" not in self.version and public(version) == self.version)


def normal(name: str) -> str:
    """A distribution's name as the packaging standards compare it: `Jinja2` -> `jinja2`, `hf_gradio` -> `hf-gradio`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def public(version: str) -> str:
    """A version without its local part: `2.13.0+cpu` -> `2.13.0`."""
    return version.split("+", 1)[0]


def at_least(version: str, oldest: tuple[int, int]) -> bool:
    """Is `version` (`2.13.0+cpu`) at least `oldest` (2, 11)? False for a version without two leading numbers."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= oldest


def read_pins(path: Path) -> list[Pin]:
    """The pins of a requirements file in its order. Every line is a comment, empty or `name==version`: SetupFailed."""
    pins = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text, _, comment = (part.strip() for part in line.partition("#"))
        match = PIN.fullmatch(text)
        if match:
            alone = comment.startswith("alone:")
            pins.append(Pin(name=normal(match["name"]), version=match["version"], alone=alone))
        elif text:
            raise SetupFailed(f"{path.name}, line {number}: {text!r} is no `name==version`.")
    return pins


def installed(folders: Iterable[Path], *, whole: bool = True) -> dict[str, str]:
    """Normal name -> version of every distribution in these folders; the first folder wins.

    whole: leave out those whose RECORD is missing. pip writes it last, so without it an installation was cut off.
    Folders that do not exist count as empty.
    """
    found: dict[str, str] = {}
    for entry in _infos(folders):
        name, _, version = entry.stem.partition("-")
        if version and (not whole or entry.suffix == ".egg-info" or (entry / "RECORD").is_file()):
            found.setdefault(normal(name), re.sub(r"-py\d.*$", "", version))
    return found


def missing(pins: Sequence[Pin], have: Mapping[str, str]) -> list[Pin]:
    """The pins that are absent or there in another version."""
    return [pin for pin in pins if not pin.met_by(have.get(pin.name))]


def clear_remains(folders: Iterable[Path]) -> list[str]:
    """Remove what a killed pip left: half-written `.dist-info` folders, parked `~name` ones. -> what was removed.

    Without this pip takes a half-unpacked package for an installed one. Only for an environment that is our own.
    """
    remains = [entry for entry in _entries(folders) if entry.name.startswith("~")]
    remains += [
        entry
        for entry in _infos(folders)
        if entry.suffix == ".dist-info" and entry.is_dir() and not (entry / "RECORD").is_file()
    ]
    for entry in remains:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return [entry.name for entry in remains]


def _entries(folders: Iterable[Path]) -> list[Path]:
    return [entry for folder in folders if folder.is_dir() for entry in sorted(folder.iterdir())]


def _infos(folders: Iterable[Path]) -> list[Path]:
    return [entry for entry in _entries(folders) if entry.suffix in INFO_FOLDERS and not entry.name.startswith("~")]
