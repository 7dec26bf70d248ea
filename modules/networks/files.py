"""Network files on disk: found below their folders, named as A1111 names them, hashed as it hashes them, read safely.

Pickled files are opened by torch's restricted reader; what that refuses is refused here, with the file's name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from modules.core.errors import DamagedFile
from modules.core.store import Store
from modules.loading import header, opening, pickles
from modules.loading.walking import Asked, always, walk

ALIAS = "Alias from file"
FORBIDDEN = frozenset(("none", "addams"))
"""Aliases that many files have by mistake."""
_MIGRATIONS = (
    """CREATE TABLE network_hashes (
        path TEXT NOT NULL, whole INTEGER NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
        sha256 TEXT NOT NULL, PRIMARY KEY (path, whole))""",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkFile:
    """One file. name: without folder and ending; below: path below its folder, without ending; alias: what its
    metadata call it, or the name.
    """

    path: Path
    name: str
    below: str
    alias: str
    metadata: Mapping[str, str] = dataclasses.field(hash=False, compare=False)
    size: int
    mtime: int


class Files:
    """All files with the given endings below some folders. Scanned when first asked, and again for unknown names.

    hidden: whether folders count whose names begin with a dot.
    """

    def __init__(self, folders: Sequence[Path], endings: Sequence[str], *, hidden: Asked = always) -> None:
        self._hidden = hidden
        self._folders = tuple(folders)
        self._endings = tuple(endings)
        self._found: tuple[NetworkFile, ...] | None = None
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Look again. Files that have not changed are not opened again; unreadable ones are left out."""
        with self._lock:
            known = {(file.path, file.size, file.mtime): file for file in self._found or ()}
            hidden = self._hidden()
            found = (
                _examined(path, folder, known)
                for folder in self._folders
                for path in walk(folder, hidden=hidden)
                if path.name.lower().endswith(self._endings)
            )
            self._found = tuple(file for file in found if file)

    def all(self) -> tuple[NetworkFile, ...]:
        """Every file, in the order of folders and names."""
        if self._found is None:
            self.refresh()
        return self._found or ()

    def find(self, name: str) -> NetworkFile | None:
        """By name, by an alias that only one file has, or by the path below the folder; in this case, then in any."""
        return self._named(name) or self._look_again(name)

    def called(self, file: NetworkFile, preferred: str) -> str:
        """What prompts should call a file, by the option `lora_preferred_name`: its alias, where only one file has it,
        or its name.
        """
        own = (
            preferred == ALIAS and file.alias.lower() not in FORBIDDEN and _aliases(self.all()).get(file.alias) == file
        )
        return file.alias if own else file.name

    def _look_again(self, name: str) -> NetworkFile | None:
        self.refresh()
        return self._named(name)

    def _named(self, name: str) -> NetworkFile | None:
        files = self.all()
        exact = {**_aliases(files), **{file.below: file for file in files}, **{file.name: file for file in files}}
        folded = {spelling.casefold(): file for spelling, file in exact.items()}
        return exact.get(name) or folded.get(name.casefold())


def _aliases(files: Iterable[NetworkFile]) -> dict[str, NetworkFile]:
    """Aliases that are one file's alone."""
    by_alias: dict[str, list[NetworkFile]] = {}
    for file in files:
        by_alias.setdefault(file.alias, []).append(file)
    return {alias: owners[0] for alias, owners in by_alias.items() if len(owners) == 1}


def _examined(path: Path, folder: Path, known: Mapping[tuple[Path, int, int], NetworkFile]) -> NetworkFile | None:
    try:
        facts = path.stat()
        found = known.get((path, facts.st_size, facts.st_mtime_ns))
        metadata = found.metadata if found else _metadata(path)
    except FileNotFoundError:  # a dangling link, or deleted while we look
        return None
    return NetworkFile(
        path=path,
        name=path.stem,
        below=path.relative_to(folder).with_suffix("").as_posix(),
        alias=metadata.get("ss_output_name") or path.stem,
        metadata=metadata,
        size=facts.st_size,
        mtime=facts.st_mtime_ns,
    )


def _metadata(path: Path) -> Mapping[str, str]:
    """What a file says of itself; nothing for a pickle or a damaged file, which is told when it is asked for."""
    if path.suffix.lower() != ".safetensors":
        return {}
    try:
        return header.read(path).metadata
    except DamagedFile:
        return {}


def version(file: NetworkFile) -> str:
    """The family that a LoRA's trainer noted, in A1111's words: SD1, SD2, SDXL, or Unknown where it noted nothing."""
    told = file.metadata
    if str(told.get("ss_base_model_version", "")).startswith("sdxl_"):
        return "SDXL"
    if str(told.get("ss_v2", "")) == "True":
        return "SD2"
    return "SD1" if told else "Unknown"


class Digests:
    """SHA-256 of files, worked out once for each path, size and time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.migrate("network_hashes", _MIGRATIONS)

    def content(self, file: NetworkFile) -> str:
        """Of a LoRA: of what lies behind a safetensors header, so that edited metadata change nothing; or what its
        trainer wrote down.
        """
        return file.metadata.get("sshs_model_hash") or self._digest(file, whole=not _is_safetensors(file.path))

    def whole(self, file: NetworkFile) -> str:
        """Of the whole file."""
        return self._digest(file, whole=True)

    def _digest(self, file: NetworkFile, *, whole: bool) -> str:
        key = (str(file.path), whole, file.size, file.mtime)
        known = "SELECT sha256 FROM network_hashes WHERE path = ? AND whole = ? AND size = ? AND mtime = ?"
        for row in self._store.read(known, key):
            return str(row["sha256"])
        with file.path.open("rb") as stream:
            if not whole:
                (length,) = struct.unpack("<Q", stream.read(8))
                stream.seek(8 + length)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._store.write("INSERT OR REPLACE INTO network_hashes VALUES (?, ?, ?, ?, ?)", (*key, digest))
        return digest


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == ".safetensors"


def tensors(path: Path) -> dict[str, Tensor]:
    """Named tensors of a .safetensors file or a pickled state dict. Raises DamagedFile."""
    if not _is_safetensors(path):
        return pickles.tensors(path)
    return opening.mapped(path)
