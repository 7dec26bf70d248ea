"""The separate VAE files on disk, and which of them a checkpoint gets: A1111's option `sd_vae` and its rules.

Used by generate (which file?), the API and the page (what is there?). No torch: `vae_file` reads the weights.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modules.core.errors import DamagedFile, EaselError, NotFound
from modules.loading import cards, opening
from modules.loading.hashes import Hashes
from modules.loading.walking import Asked, always, walk

log = logging.getLogger(__name__)

ENDINGS = (".safetensors", ".ckpt", ".pt")
BESIDE_ENDINGS = tuple(f".vae{ending}" for ending in ENDINGS)
"""Among checkpoints, files with these endings are VAEs."""
FIRSTS = ("decoder.conv1.weight", "decoder.conv_in.weight")
"""A VAE's first tensor on the way to pixels: of a video's, of any other."""
NONE, AUTOMATIC = "None", ("Automatic", "auto")
"""`sd_vae`: the checkpoint's own VAE; the one that belongs to the checkpoint. "auto" is in old settings files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VaeFile:
    """One file. name: the file's own, with ending, as A1111 shows it; problem: why it cannot be used, or None."""

    path: Path
    name: str
    size: int
    mtime: int
    sha256: str | None = None
    problem: str | None = None

    @property
    def hash(self) -> str | None:
        """The first 10 digits of the SHA-256."""
        return self.sha256[:10] if self.sha256 else None


class Vaes:
    """All VAE files below some folders, and those named *.vae.* below the folders of checkpoints (`beside`); `fixed`
    (--vae-path) is the one for every checkpoint. Safe to use from any thread. Raises EaselError where that is absent.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        beside: Iterable[Path],
        hashes: Hashes,
        *,
        fixed: Path | None = None,
        hidden: Asked = always,
    ) -> None:
        self._folders = tuple(folders)
        self._beside = tuple(beside)
        self._hashes = hashes
        self._hidden = hidden
        self._lock = threading.Lock()
        self._found: tuple[VaeFile, ...] = ()
        if fixed and not fixed.is_file():
            raise EaselError(f"--vae-path {fixed}: there is no such file.")
        self._fixed = fixed
        self.refresh()

    def refresh(self) -> None:
        """Scan again. Of two files with one name the later folder's is taken, as in A1111."""
        known = {(entry.path, entry.size, entry.mtime): entry for entry in self._found}
        hashes = self._hashes.known()
        found = {path.name: entry for path in self._files() if (entry := _examined(path, known, hashes))}
        with self._lock:
            self._found = tuple(found[name] for name in sorted(found, key=_natural))

    def all(self) -> list[VaeFile]:
        """Those that can be used, by name."""
        return [entry for entry in self._found if entry.problem is None]

    def problems(self) -> list[VaeFile]:
        """Those that cannot, each with its reason."""
        return [entry for entry in self._found if entry.problem is not None]

    def find(self, name: str, *, field: str = "sd_vae") -> VaeFile:
        """By name, name without ending, or hash, in any case. Raises NotFound, DamagedFile."""
        wanted = name.strip().casefold()
        for spelling in (str.casefold, lambda own: own.casefold().rsplit(".", 1)[0]):
            for entry in self._found:
                if wanted in (spelling(entry.name), entry.hash, entry.sha256):
                    if entry.problem:
                        raise DamagedFile(entry.problem)
                    return entry
        raise NotFound("VAE", name, [NONE, AUTOMATIC[0], *(entry.name for entry in self.all())], field=field)

    def chosen(self, checkpoint: Path, options: Mapping[str, Any]) -> VaeFile | None:
        """The file for a checkpoint under these options, None for the VAE inside it. Raises NotFound, DamagedFile.

        A1111's order: --vae-path; an explicit choice (unless per-model preferences go first); "vae" in the
        checkpoint's .json; a file whose name begins with the checkpoint's; the choice after all.
        """
        if self._fixed:
            return _examined(self._fixed, {}, self._hashes.known())
        setting, automatic = options["sd_vae"], options["sd_vae"] in AUTOMATIC
        if options["sd_vae_overrides_per_model_preferences"] and not automatic:
            return self._named(setting)
        preferred = _preference(checkpoint)
        if preferred == NONE:
            return None
        if preferred and (entry := self._there(preferred)):
            return entry
        return self._near(checkpoint) or (None if automatic else self._named(setting))

    def hashed(self, entry: VaeFile | None) -> VaeFile | None:
        """The same with its SHA-256 (--no-hashing: as it is)."""
        if entry is None or entry.sha256:
            return entry
        sha256 = self._hashes.of(entry.path, size=entry.size, mtime=entry.mtime)
        complete = dataclasses.replace(entry, sha256=sha256)
        with self._lock:
            self._found = tuple(complete if other.path == entry.path else other for other in self._found)
        return complete

    def _named(self, setting: str) -> VaeFile | None:
        return None if setting == NONE else self.find(setting)

    def _there(self, name: str) -> VaeFile | None:
        return next((entry for entry in self.all() if entry.name == name), None)

    def _near(self, checkpoint: Path) -> VaeFile | None:
        """The file that bears the checkpoint's name, or whose name begins with it: A1111 takes that too."""
        stem = checkpoint.name if checkpoint.is_dir() else checkpoint.stem
        exact = {f"{stem}{ending}" for ending in (*BESIDE_ENDINGS, *ENDINGS)}
        return next((entry for entry in self.all() if entry.name in exact), None) or next(
            (entry for entry in self.all() if entry.name.startswith(stem)), None
        )

    def _files(self) -> Iterator[Path]:
        """In A1111's order: what lies beside checkpoints, then the folders of VAEs."""
        hidden = self._hidden()
        for folders, endings in ((self._beside, BESIDE_ENDINGS), (self._folders, ENDINGS)):
            for folder in folders:
                yield from (path for path in walk(folder, hidden=hidden) if path.name.lower().endswith(endings))


def _examined(
    path: Path, known: Mapping[tuple[Path, int, int], VaeFile], hashes: Mapping[tuple[str, int, int], str]
) -> VaeFile | None:
    try:
        facts = path.stat()
    except OSError:  # a dangling link, or deleted while we look
        return None
    size, mtime = facts.st_size, facts.st_mtime_ns
    if (path, size, mtime) in known:
        return known[path, size, mtime]
    problem = _problem(path)
    if problem:
        log.warning("VAE not usable: %s", problem)
    sha256 = hashes.get((str(path), size, mtime))
    return VaeFile(path=path, name=path.name, size=size, mtime=mtime, sha256=sha256, problem=problem)


def _problem(path: Path) -> str | None:
    try:
        facts = opening.header(path)
    except (DamagedFile, OSError) as error:
        return str(error) if path.name in str(error) else f"{path.name}: {error}"
    if not any(name.endswith(FIRSTS) for name in facts.tensors):
        return f"{path.name}: holds no VAE (there is no tensor decoder.conv_in.weight)."
    return None


def _preference(checkpoint: Path) -> str | None:
    """What the user wrote down for this checkpoint in the .json beside it: A1111's "vae", None for nothing."""
    wish = cards.read_notes(checkpoint).get("vae")
    return wish if isinstance(wish, str) and wish and wish not in AUTOMATIC else None


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.casefold())]
