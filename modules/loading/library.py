"""The checkpoints on disk: scanned, recognised by their headers, named as A1111 names them, hashed once.

Used by generate (which file?), the API and the page (what is there?). A scan reads headers only and never fails: files
that cannot be used are kept in `problems()` with the reason. Hashes are cached in the database by path, size and mtime.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from modules.core.errors import DamagedFile, NoCheckpoint, NotFound
from modules.core.store import Store
from modules.loading import families, opening
from modules.loading.hashes import Hashes
from modules.loading.vaes import Vaes
from modules.loading.walking import Asked, always, walk

log = logging.getLogger(__name__)

ENDINGS = (".safetensors", ".ckpt", ".pt", ".gguf")
_VAE_ENDINGS = (".vae.safetensors", ".vae.ckpt", ".vae.pt")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One file, or a folder in diffusers' layout. name: path below its folder, with ending; problem: why it cannot be
    used, in words, or None.
    """

    path: Path
    name: str
    family: str | None = None
    sha256: str | None = None
    problem: str | None = None
    size: int = 0
    mtime: int = 0

    @property
    def model_name(self) -> str:
        """The name in the API: folders joined by "_", no ending."""
        return _bare(self.name.replace("/", "_").replace("\\", "_"))

    @property
    def short_name(self) -> str:
        """The name in infotexts: the file's own, without folder and ending."""
        return _bare(Path(self.name).name)

    @property
    def hash(self) -> str | None:
        """A1111's short hash: the first 10 digits of the SHA-256."""
        return self.sha256[:10] if self.sha256 else None

    @property
    def title(self) -> str:
        """The name in menus, with the short hash where it is known."""
        return f"{self.name} [{self.hash}]" if self.hash else self.name

    @property
    def config(self) -> str | None:
        """A same-named .yaml beside it."""
        path = self.path.with_name(f"{_bare(self.path.name)}.yaml")
        return str(path) if path.exists() else None

    @property
    def native_size(self) -> int:
        """The side in pixels of the pictures it was made for, from its metadata or else its family; 512 if unknown."""
        try:
            return families.native_size(opening.header(self.path))
        except (DamagedFile, OSError):
            return 512

    @property
    def guidance(self) -> float:
        """The CFG scale it asks for, else the usual one."""
        try:
            return families.guidance(opening.header(self.path))
        except (DamagedFile, OSError):
            return families.USUAL_GUIDANCE


def no_checkpoint_message(folders: Iterable[Path]) -> str:
    """What to do when there is no model at all; the page and the console say the same."""
    return (
        "There is no checkpoint yet. Put a model (one .safetensors file) into "
        f"{next(iter(folders))}, then press the refresh button beside the checkpoint menu (🔄) or POST "
        "/sdapi/v1/refresh-checkpoints."
    )


class Library:
    """All checkpoints below the given folders, and single files beside them; safe to use from any thread.

    vaes: the separate VAEs, below `vae_folders` and beside the checkpoints; vae_file: the one for every checkpoint.
    hidden: whether folders count whose names begin with a dot.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        store: Store,
        *,
        files: Iterable[Path] = (),
        hashing: bool = True,
        vae_folders: Iterable[Path] = (),
        vae_file: Path | None = None,
        hidden: Asked = always,
    ) -> None:
        self.folders = tuple(folders)
        self.files = tuple(files)
        self._hashes = Hashes(store, enabled=hashing)
        self.vaes = Vaes(vae_folders, self.folders, self._hashes, fixed=vae_file, hidden=hidden)
        self._hidden = hidden
        self._lock = threading.Lock()
        self._found: tuple[Checkpoint, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Scan the folders again, those of VAEs too. Headers of files that have not changed are not read again."""
        self.vaes.refresh()
        known = {(entry.path, entry.size, entry.mtime): entry for entry in self._found}
        hashes = self._hashes.known()
        found = [self._examined(path, name, known, hashes) for path, name in self._files()]
        with self._lock:
            self._found = tuple(sorted(found, key=lambda entry: entry.name.casefold()))

    def checkpoints(self) -> list[Checkpoint]:
        """Those that can be used, by name."""
        return [entry for entry in self._found if entry.problem is None]

    def problems(self) -> list[Checkpoint]:
        """Those that cannot, each with its reason."""
        return [entry for entry in self._found if entry.problem is not None]

    def find(self, name: str, *, field: str = "sd_model_checkpoint") -> Checkpoint:
        """By title, name, name without folder or ending, or hash, in any case. Raises NotFound, DamagedFile."""
        wanted = name.strip().casefold()
        for entry in self._found:
            if wanted in _spellings(entry):
                if entry.problem:
                    raise DamagedFile(entry.problem)
                return entry
        bare = wanted.rsplit(" [", 1)[0]
        if bare != wanted:
            return self.find(bare, field=field)
        raise NotFound("Checkpoint", name, [entry.name for entry in self.checkpoints()], field=field)

    def chosen(self, name: str | None) -> Checkpoint:
        """The one of this name, or the first where nothing is chosen.

        Raises NotFound, DamagedFile, and NoCheckpoint (which says where to put one) when there is none at all.
        """
        usable = self.checkpoints()
        if not usable:
            raise NoCheckpoint(no_checkpoint_message(self.folders))
        return self.find(name) if name else usable[0]

    def hashed(self, entry: Checkpoint) -> Checkpoint:
        """The same with its SHA-256, which is worked out at most once for a file (--no-hashing: left out)."""
        if entry.sha256:
            return entry
        digest = self._hashes.of(entry.path, size=entry.size, mtime=entry.mtime)
        complete = dataclasses.replace(entry, sha256=digest)
        with self._lock:
            self._found = tuple(complete if other.path == entry.path else other for other in self._found)
        return complete

    def _files(self) -> Iterator[tuple[Path, str]]:
        seen: set[Path] = set()
        for folder in self.folders:
            for path in walk(folder, models=True, hidden=self._hidden()):
                lower = path.name.lower()
                wanted = path.is_dir() or (lower.endswith(ENDINGS) and not lower.endswith(_VAE_ENDINGS))
                if path in seen or not wanted:
                    continue
                seen.add(path)
                yield path, path.relative_to(folder).as_posix()
        yield from ((path, path.name) for path in self.files if path not in seen)

    def _examined(
        self,
        path: Path,
        name: str,
        known: dict[tuple[Path, int, int], Checkpoint],
        hashes: dict[tuple[str, int, int], str],
    ) -> Checkpoint:
        try:
            size, mtime = _extent(path)
        except OSError as error:
            return Checkpoint(path=path, name=name, problem=f"{name}: {error.strerror or error}.")
        if (path, size, mtime) in known:
            return known[path, size, mtime]
        family, problem = recognise(path)
        if problem:
            log.warning("Checkpoint not usable: %s", problem)
        sha256 = hashes.get((str(path), size, mtime))
        return Checkpoint(path=path, name=name, family=family, sha256=sha256, problem=problem, size=size, mtime=mtime)


def recognise(path: Path) -> tuple[str | None, str | None]:
    """(family id, problem) of a file, from its header alone; never raises."""
    try:
        facts = opening.header(path)
        family = families.detect(facts)
        return family.id, _named(path, families.obstacle(family, facts))
    except (DamagedFile, OSError) as error:
        return None, _named(path, str(error))


def _named(path: Path, problem: str | None) -> str | None:
    if problem is None or problem.startswith(path.name):
        return problem
    return f"{path.name}: {problem}"


def _extent(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns: of a folder, the sum and the newest of its files."""
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    facts = [each.stat() for each in files] or [path.stat()]
    return sum(each.st_size for each in facts), max(each.st_mtime_ns for each in facts)


def _bare(name: str) -> str:
    """Without the ending of a model file; a folder's name may have dots of its own."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in ENDINGS else name


def _spellings(entry: Checkpoint) -> set[str]:
    names = {entry.title, entry.name, entry.model_name, Path(entry.name).name, entry.short_name, str(entry.path)}
    hashes = {entry.sha256, entry.hash} if entry.sha256 else set()
    return {spelling.casefold() for spelling in names | hashes if spelling}
