"""Files that hold what a checkpoint lacks: text encoders, VAE and tokenizers in folders of their own.

A transformer is often released alone. Its encoders then lie in models/text_encoder (or models/CLIP, where A1111 has
them) and its VAE in models/VAE. A file is taken for what its header says it is; one whose name begins with the
checkpoint's name comes first, then the others by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from torch import Tensor

from modules.core.errors import DamagedFile
from modules.loading import opening
from modules.loading.header import Header


@dataclasses.dataclass(frozen=True, kw_only=True)
class Companions:
    """The folders that are searched, with what is below them."""

    text: tuple[Path, ...] = ()
    vae: tuple[Path, ...] = ()


NOWHERE = Companions()


@dataclasses.dataclass(frozen=True)
class Companion:
    """A file that holds a part, and where the names of the part begin in it."""

    path: Path
    prefix: str

    def weights(self, *besides: str) -> dict[str, Tensor]:
        """The part's tensors as `opening.stored` has them; besides: names that are wanted without the prefix too.

        Raises DamagedFile.
        """
        every = opening.stored(self.path)
        part = {name[len(self.prefix) :]: tensor for name, tensor in every.items() if name.startswith(self.prefix)}
        return {**{name: every[name] for name in besides if name in every}, **part}


def files(folders: Iterable[Path], beside: Path, *endings: str) -> list[Path]:
    """Files in and below the folders, and those beside the checkpoint named after it; those named after it first."""
    own = beside.stem.casefold()
    below = (path for folder in folders if folder.is_dir() for path in folder.rglob("*"))
    near = (path for path in beside.parent.glob("*") if path.stem.casefold().startswith(own) and path != beside)
    found = {path for path in (*below, *near) if path.suffix.casefold() in endings and path.is_file()}
    return sorted(found, key=lambda path: (not path.name.casefold().startswith(own), path.name.casefold(), path))


def search(
    folders: Iterable[Path], beside: Path, mark: str, fits: Callable[[Header, str], bool] = lambda *_: True
) -> Companion | None:
    """The first file with a tensor whose name ends with the mark and that fits (header, prefix)."""
    return next(_matches(folders, beside, mark, fits), None)


def _matches(
    folders: Iterable[Path], beside: Path, mark: str, fits: Callable[[Header, str], bool]
) -> Iterator[Companion]:
    for path in files(folders, beside, ".safetensors", ".gguf"):
        try:
            facts = opening.header(path)
        except (DamagedFile, OSError):
            continue  # it is for the lists of files to say so
        yield from (Companion(path, prefix) for prefix in prefixes(facts.tensors, mark) if fits(facts, prefix))


def prefixes(names: Iterable[str], mark: str) -> Iterator[str]:
    """What stands before the mark in the names that end with it."""
    return (name.removesuffix(mark) for name in names if name.endswith(mark))
