"""Pictures to train on, with captions: painted by the seed, or a folder of the user's own. Kept as files of numbers.

    pictures-00000.npy   uint8 (shard, size, size, 3)       latents-00000.npy   float16 (shard, 4, size/8, size/8)

A file is complete or not there, so an interrupted preparation goes on where it stopped.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import multiprocessing
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from modules.core.errors import BadRequest
from modules.training.painter import captions, picture, scene

PICTURES = "pictures"
LATENTS = "latents"
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class Source(Protocol):
    """Numbered pictures with captions."""

    def __len__(self) -> int: ...

    def picture(self, index: int, size: int) -> NDArray[np.uint8]:
        """(size, size, 3)."""
        ...

    def caption(self, index: int, dice: random.Random) -> str:
        """A caption; another one with other dice, where there are several."""
        ...


class Painted:
    """Scenes `first`, `first` + 1 … of the painter."""

    def __init__(self, count: int, *, first: int = 0) -> None:
        self._count, self._first = count, first

    def __len__(self) -> int:
        return self._count

    def scene(self, index: int) -> scene.Scene:
        return scene.draw(self._first + index)

    def picture(self, index: int, size: int) -> NDArray[np.uint8]:
        return np.asarray(picture.paint(self.scene(index), size))

    def caption(self, index: int, dice: random.Random) -> str:
        return captions.caption(self.scene(index), dice).text


class Folder:
    """The user's pictures, each beside a .txt of the same name: one caption a line. Cropped to squares."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
        if not self._files:
            raise BadRequest(f"{folder}: no pictures there ({', '.join(ENDINGS)}).", field="pictures")
        self._captions = [_lines(path.with_suffix(".txt")) for path in self._files]

    def __len__(self) -> int:
        return len(self._files)

    def picture(self, index: int, size: int) -> NDArray[np.uint8]:
        with Image.open(self._files[index]) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
            return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS))

    def caption(self, index: int, dice: random.Random) -> str:
        return dice.choice(self._captions[index])


def _lines(path: Path) -> list[str]:
    """The captions of a picture; without a file the empty one."""
    if not path.exists():
        return [""]
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()] or [""]


class Shards:
    """The files of one kind in a folder, read as one array by index without holding them in memory."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._arrays = [np.load(path, mmap_mode="r") for path in sorted(folder.glob(f"{kind}-*.npy"))]
        self._starts = np.cumsum([0, *(len(array) for array in self._arrays)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, wanted: Tensor) -> Tensor:
        """The rows of these indices (n,)."""
        which = np.searchsorted(self._starts, wanted.numpy(), side="right") - 1
        rows = [
            self._arrays[shard][index - self._starts[shard]]
            for shard, index in zip(which.tolist(), wanted.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(rows))


def pixels(pictures: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> float (B, 3, H, W) in -1..1."""
    return pictures.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def to_pictures(values: Tensor) -> Tensor:
    """float (B, 3, H, W) in -1..1 -> uint8 (B, H, W, 3)."""
    return ((values.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()


def paint(
    source: Source,
    folder: Path,
    *,
    size: int,
    shard: int,
    workers: int = 1,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], object] = print,
) -> bool:
    """Write the pictures of a source, what is there already left alone; whether all are there. stop: asked per file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(source), shard)):
        path = folder / f"{PICTURES}-{number:05d}.npy"
        if path.exists():
            continue
        if stop():
            return False
        wanted = range(start, min(start + shard, len(source)))
        made = _mapped(functools.partial(source.picture, size=size), wanted, workers)
        write(path, np.stack(made))
        say(f"painted {wanted.stop}/{len(source)}")
    return True


def _mapped(make: Callable[[int], NDArray[np.uint8]], wanted: range, workers: int) -> Sequence[NDArray[np.uint8]]:
    if workers <= 1:
        return [make(index) for index in wanted]
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(make, wanted, chunksize=64))


def write(path: Path, array: NDArray[Any]) -> None:
    """An array as a file that is whole or not there."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, array)
    unfinished.replace(path)


def source_of(folder: Path, pictures: Path | None, count: int) -> Source:
    """What a run trains on, as decided when it began: the user's folder, or `count` painted scenes."""
    note = folder / "source.json"
    if not note.exists():
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"pictures": None if pictures is None else str(pictures.absolute())}) + "\n")
    told = json.loads(note.read_text(encoding="utf-8"))["pictures"]
    return Painted(count) if told is None else Folder(Path(told))
