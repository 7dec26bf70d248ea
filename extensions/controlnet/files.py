"""The files that units choose from: models/ControlNet, the extension's own models/ folder and a folder of the settings.

A name is the file's stem with a short hash, "control_v11p_sd15_canny [d14c016b]", as the well-known extension lists it;
requests may leave the hash out. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from modules.core.errors import DamagedFile, NotFound
from modules.loading import opening

from . import marks

ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
NONE = "None"


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """name: with its hash."""

    name: str
    path: Path

    @property
    def stem(self) -> str:
        return self.path.stem


class Files:
    """Looks anew where `update` is asked for or a name is not known. Safe to use from any thread.

    folders: where to look, asked each time; encoders: where image encoders lie.
    """

    def __init__(self, folders: Callable[[], Sequence[Path]], encoders: Callable[[], Sequence[Path]]) -> None:
        self._folders = folders
        self._encoders = encoders
        self._found: tuple[File, ...] | None = None
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._guard = threading.Lock()

    def all(self, *, update: bool = False) -> tuple[File, ...]:
        """By name; of two with one name the first folder's counts."""
        with self._guard:
            if self._found is None or update:
                found: dict[str, File] = {}
                for path in _paths(self._folders()):
                    name = f"{path.stem} [{self._hash(path)}]"
                    found.setdefault(name, File(name=name, path=path))
                self._found = tuple(found[name] for name in sorted(found, key=str.casefold))
            return self._found

    def names(self, *, update: bool = False) -> list[str]:
        return [NONE, *(file.name for file in self.all(update=update))]

    def find(self, name: str, *, field: str = "model") -> File:
        """By name, with or without hash or ending, in any case. Raises NotFound with the nearest."""
        wanted = name.strip().casefold()
        for update in (False, True):
            files = self.all(update=update)
            for file in files:
                if wanted in (file.name.casefold(), file.stem.casefold(), file.path.name.casefold()):
                    return file
        stem = wanted.rpartition(" [")[0]  # another version of the file has another hash
        for file in files:
            if stem and stem == file.stem.casefold():
                return file
        hint = f"Files belong in {next(iter(self._folders()), 'models/ControlNet')}."
        raise NotFound("ControlNet model", name, [file.name for file in files], field=field, hint=hint)

    def checked(self, name: str) -> File:
        """As `find`, and the file is of a kind that is built. Raises DamagedFile for what is not."""
        file = self.find(name)
        names = opening.header(file.path).tensors
        refused = marks.lacking(names)
        if refused or not marks.kind(names):
            what = f"is {refused}, which Easel does not build" if refused else "is no known kind of control model"
            raise DamagedFile(f"{file.path.name} {what}. It should be a {marks.KNOWN}.")
        return file

    def encoders(self) -> list[Path]:
        """Files and folders (in transformers' layout) that may hold an image encoder."""
        found: list[Path] = []
        for folder in self._encoders():
            if folder.is_dir():
                inside = sorted(folder.iterdir())
                found += [each for each in inside if each.suffix.lower() in ENDINGS or (each / "config.json").is_file()]
        return found

    @property
    def encoder_folder(self) -> Path:
        """Where one belongs."""
        return next(iter(self._encoders()))

    def _hash(self, path: Path) -> str:
        """Of 64 KB behind the first megabyte, as A1111's old short hashes; "" where the file cannot be read."""
        try:
            facts = path.stat()
            key = (str(path), facts.st_size, facts.st_mtime_ns)
            if key not in self._hashes:
                with path.open("rb") as file:
                    file.seek(0x100000)
                    self._hashes[key] = hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
            return self._hashes[key]
        except OSError:
            return ""


def _paths(folders: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if folder.is_dir():
            inside = sorted(folder.rglob("*"))
            found += [
                path for path in inside if path.suffix.lower() in ENDINGS and path.is_file() and path.stem != NONE
            ]
    return found
