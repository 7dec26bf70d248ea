"""A model's files, whatever their layout: `header` says what is inside, `tensors` maps it.

.safetensors, .gguf, pickles (.ckpt, .pt, .bin) and folders in diffusers' layout look the same from here on: names and
shapes as a single-file checkpoint has them. Called by library, vaes, loader and merging.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modules.core.errors import DamagedFile
from modules.loading import folders, gguf, pickles, torchao
from modules.loading import header as safetensors
from modules.loading.header import Header

if TYPE_CHECKING:
    from torch import Tensor


def header(path: Path) -> Header:
    """Names, types and shapes; no weights are read. Raises DamagedFile (reason in words) and OSError."""
    if path.is_dir():
        return folders.header(path)
    if path.suffix.lower() in pickles.ENDINGS:
        return pickles.header(path)
    if path.suffix.lower() == gguf.ENDING:
        return gguf.header(path)
    return torchao.plain(safetensors.read(path))


def tensors(path: Path) -> dict[str, Tensor]:
    """All tensors by name, views of the mapped files: nothing is read before it is used. Raises DamagedFile."""
    if path.is_dir():
        return folders.tensors(path)
    if path.suffix.lower() in pickles.ENDINGS:
        pickles.header(path)  # refuses what torch's reader would trip over, with better words
        return pickles.tensors(path)
    if path.suffix.lower() == gguf.ENDING:
        return gguf.tensors(path)
    return mapped(path)


def mapped(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file; what torchao stored in 8 bits is multiplied out. Raises DamagedFile."""
    from safetensors import SafetensorError, safe_open

    facts = safetensors.read(path)
    torchao.plain(facts)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise DamagedFile(f"{path.name}: {error}.") from error
    return torchao.multiplied_out(found, facts)
