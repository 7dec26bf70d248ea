"""A model's files, whatever their layout: `header` says what is inside, `tensors` maps it.

.safetensors, .gguf, pickles (.ckpt, .pt, .bin) and folders in diffusers' layout look the same from here on: names and
shapes as a single-file checkpoint has them. Called by library, vaes, loader and merging. Matrices of small numbers
(GGUF, bitsandbytes, torchao) are packed tensors to who asks for what is `stored`, plain ones to everybody else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modules.core.errors import DamagedFile
from modules.loading import bitsandbytes, folders, gguf, pickles, torchao
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
    return bitsandbytes.plain(torchao.plain(safetensors.read(path)))


def tensors(path: Path) -> dict[str, Tensor]:
    """All tensors by name as plain ones: views of the mapped files, but for small numbers, which are unpacked.

    Raises DamagedFile.
    """
    return _plain(stored(path))


def stored(path: Path) -> dict[str, Tensor]:
    """All tensors by name, views of the mapped files: nothing is read before it is used. Small numbers are `packed`.

    Raises DamagedFile.
    """
    if path.is_dir():
        return folders.tensors(path)
    if path.suffix.lower() in pickles.ENDINGS:
        pickles.header(path)  # refuses what torch's reader would trip over, with better words
        return pickles.tensors(path)
    if path.suffix.lower() == gguf.ENDING:
        return gguf.tensors(path)
    return _of_safetensors(path)


def mapped(path: Path) -> dict[str, Tensor]:
    """The plain tensors of a .safetensors file, whatever it is called. Raises DamagedFile."""
    return _plain(_of_safetensors(path))


def _plain(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    from modules.loading.packed import dense

    return {name: dense(tensor) for name, tensor in weights.items()}


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    facts = safetensors.read(path)
    torchao.plain(facts)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise DamagedFile(f"{path.name}: {error}.") from error
    return bitsandbytes.packed(torchao.packed(found, facts), path.name)
