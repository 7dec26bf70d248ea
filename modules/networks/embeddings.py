"""Textual inversion: files with vectors that stand for a word. .pt and .bin (restricted pickles), .safetensors, and
pictures with the vectors in a text chunk or in their pixels, all as A1111 writes and reads them.

The word is the file's name (a picture's is inside it). `Embeddings.scan` reads what is new; which of them fit a model
is for the model's text width to say.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import json
import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from modules.core.errors import DamagedFile
from modules.loading.pickles import unpickled
from modules.networks.files import Files, NetworkFile, tensors
from modules.prompts.chunks import CHUNK

log = logging.getLogger(__name__)

Fact = TypeVar("Fact", int, str)

PICTURES = (".png", ".webp", ".jxl", ".avif")
ENDINGS = (".pt", ".bin", ".safetensors", *PICTURES)
_CHUNK = "sd-ti-embedding"
TOWERS = ("clip_l", "clip_g")


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """A word and its vectors (n, width); with two text encoders one tensor for each ("clip_l", "clip_g"). What its file
    says of its training: steps, hash and name of the checkpoint; None where it says nothing.
    """

    name: str
    file: NetworkFile
    vectors: Mapping[str, Tensor]
    step: int | None = None
    checkpoint_hash: str | None = None
    checkpoint_name: str | None = None

    @property
    def count(self) -> int:
        """Places that it takes in a prompt."""
        return len(next(iter(self.vectors.values())))

    @functools.cached_property
    def joined(self) -> Tensor:
        """The vectors for all text encoders side by side: (n, sum of widths)."""
        return torch.cat(list(self.vectors.values()), dim=-1)

    def misfit(self, widths: Sequence[int]) -> str | None:
        """Why a model with text encoders of these widths cannot use it, in words, or None."""
        if not widths:
            return "there is none for this model's kind of text encoder"
        have = [each.shape[-1] for each in self.vectors.values()]
        if have != list(widths):
            sizes = f"its vectors are {_sum(have)} wide, this model's are {_sum(widths)}"
            return f"{sizes}: it was made for another model family"
        if len({len(each) for each in self.vectors.values()}) != 1:
            return "it has more vectors for one text encoder than for the other"
        if not 0 < self.count <= CHUNK:
            return f"it has {self.count} vectors, and a chunk of a prompt holds {CHUNK}"
        return None


def _sum(widths: Sequence[int]) -> str:
    return " + ".join(map(str, widths))


class Embeddings:
    """All textual inversions below some folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._files = Files(folders, ENDINGS)
        self._read: dict[NetworkFile, Embedding | None] = {}

    def scan(self) -> list[Embedding]:
        """What is there now. Unchanged files are not read again; of two with one name the later counts, as in A1111."""
        self._files.refresh()
        self._read = {file: self._read[file] if file in self._read else _logged(file) for file in self._files.all()}
        by_name = {found.name: found for found in self._read.values() if found}
        return list(by_name.values())


def _logged(file: NetworkFile) -> Embedding | None:
    try:
        return read(file)
    except DamagedFile as error:
        log.warning("Textual inversion not usable: %s", error)
        return None


def read(file: NetworkFile) -> Embedding | None:
    """Read one file; None for a picture that holds no vectors. Raises DamagedFile."""
    name, ending = file.name, file.path.suffix.lower()
    if file.size == 0:
        raise DamagedFile(f"{file.path.name}: the file is empty.")
    if ending in PICTURES:
        if name.lower().endswith(".preview"):
            return None
        data = _from_picture(file.path)
        if data is None:
            return None
        name = str(data.get("name", name))
    else:
        data = tensors(file.path) if ending == ".safetensors" else unpickled(file.path)
    vectors = _vectors(file.path, data)
    if not all(torch.isfinite(each).all() for each in vectors.values()):
        raise DamagedFile(f"{file.path.name}: holds numbers that are not finite.")
    return Embedding(
        name,
        file,
        vectors,
        step=_fact(data, "step", int),
        checkpoint_hash=_fact(data, "sd_checkpoint", str),
        checkpoint_name=_fact(data, "sd_checkpoint_name", str),
    )


def _fact(data: Any, name: str, kind: type[Fact]) -> Fact | None:
    """What a file says under a name, if it is of the right kind."""
    found = data.get(name) if isinstance(data, Mapping) else None
    return found if isinstance(found, kind) else None


def _vectors(path: Path, data: Any) -> dict[str, Tensor]:
    """A1111's training files ("string_to_param"), SDXL's pairs of towers, diffusers' and others' single tensors."""
    if not isinstance(data, Mapping):
        raise DamagedFile(f"{path.name}: not a textual inversion.")
    inner: Any = data.get("string_to_param", data)
    inner = getattr(inner, "_parameters", inner)
    if not isinstance(inner, Mapping):
        raise DamagedFile(f"{path.name}: not a textual inversion.")
    found = {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}
    if set(TOWERS) <= found.keys():
        return {tower: _matrix(path, found[tower]) for tower in TOWERS}
    if len(found) != 1:
        raise DamagedFile(f"{path.name}: not a textual inversion: it holds {len(found)} tensors, not one.")
    return {"clip_l": _matrix(path, next(iter(found.values())))}


def _matrix(path: Path, vectors: Tensor) -> Tensor:
    if vectors.dim() not in (1, 2):
        raise DamagedFile(f"{path.name}: not a textual inversion: its tensor has {vectors.dim()} dimensions.")
    return vectors.detach().float().reshape(-1, vectors.shape[-1])


def _from_picture(path: Path) -> dict[str, Any] | None:
    try:
        with Image.open(path) as image:
            text = getattr(image, "text", {}).get(_CHUNK)
            packed = base64.b64decode(text) if text else _from_pixels(image)
        return None if packed is None else _decoded(packed)
    except (UnidentifiedImageError, OSError, binascii.Error, ValueError) as error:
        raise DamagedFile(f"{path.name}: cannot be read as a textual inversion ({error}).") from error


def _decoded(packed: bytes) -> dict[str, Any]:
    """JSON in which {"TORCHTENSOR": numbers} is a tensor."""

    def hook(table: dict[str, Any]) -> Any:
        return torch.tensor(table["TORCHTENSOR"]) if "TORCHTENSOR" in table else table

    decoded = json.loads(packed, object_hook=hook)
    if not isinstance(decoded, dict):
        raise ValueError("no table of vectors")
    return decoded


def _from_pixels(image: Image.Image) -> bytes | None:
    """What lies in the low four bits left and right of the picture, beyond a black line on either side.

    The left block has the low halves of the bytes, the right one the high halves, each scrambled with a fixed
    sequence; the bytes are compressed. None for a picture without such blocks.
    """
    pixels = np.asarray(image.convert("RGB"))
    shown = np.all(pixels > 0, axis=2)
    if not shown.any():
        return None
    rows, columns = (np.flatnonzero(np.any(shown, axis=axis)) for axis in (1, 0))
    low = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] & 0x0F
    black = np.flatnonzero(low.sum(axis=(0, 2)) == 0)
    if len(black) < 2:
        return None
    left, right = (_unscrambled(each) for each in (low[:, : black[0]], low[:, black[-1] + 1 :]))
    if left.shape != right.shape or not left.size:
        return None
    try:
        return zlib.decompressobj().decompress((right << 4 | left).tobytes())
    except zlib.error:  # two black columns in an ordinary picture
        return None


def _unscrambled(block: np.ndarray) -> np.ndarray:
    sequence = np.fromiter(_sequence(block.size), dtype=np.uint8, count=block.size).reshape(block.shape)
    mixed: np.ndarray = np.bitwise_xor(block, sequence & 0x0F)
    return mixed


def _sequence(count: int) -> Iterator[int]:
    """A linear congruential generator (Numerical Recipes' constants), each state modulo 255."""
    state = 0
    for _ in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        yield state % 255
