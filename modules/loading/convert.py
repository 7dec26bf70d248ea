"""Turns a pickled checkpoint into a .safetensors file without ever running it:

    python -m modules.loading.convert FILE.ckpt [-o FILE.safetensors]

For files that hold more than plain data, which Easel does not load. The pickle is read by `pickle_machine`, which
builds containers and tensors and calls nothing that the file names; that happens in a process of its own with limits
on memory, time and files, which may write nothing but its output and has no network.
"""

from __future__ import annotations

import argparse
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from modules.core.errors import DamagedFile, EaselError
from modules.core.store import StoreError
from modules.loading import pickles, safetensors_writing
from modules.loading.header import SIZES, TensorInfo
from modules.loading.pickles import Stored, Survey

SECONDS = 3600
"""Processor time that a conversion may take."""
ROOM = 2 * 2**30
"""Address space beyond the mapped file, in bytes."""


def main(words: Sequence[str] | None = None) -> int:
    """The command -> its exit code."""
    parser = argparse.ArgumentParser(prog="python -m modules.loading.convert", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a .ckpt, .pt or .bin file")
    parser.add_argument("-o", "--output", type=Path, help="the .safetensors file (beside the first, same name)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    source, target = asked.file.absolute(), (asked.output or asked.file.with_suffix(".safetensors")).absolute()
    try:
        if asked.inside:
            confine(source, target.parent)
            print(convert(source, target))
            return 0
        _check(source, target)
        return _apart(source, target)
    except EaselError as error:
        print(error, file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"{error.filename}: there is no such file.", file=sys.stderr)
        return 1


def convert(source: Path, target: Path) -> str:
    """Write the tensors of `source` as `target`, one at a time -> a sentence on what was done.

    Raises DamagedFile, StoreError, FileNotFoundError.
    """
    found = pickles.survey(source)
    if not found.tensors:
        raise DamagedFile(f"{source.name}: holds no table of tensors.")
    infos = {name: TensorInfo(each.storage.dtype, each.shape) for name, each in found.tensors.items()}
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        safetensors_writing.write(target, infos, _parts(found, mapped), {"format": "pt"})
    left = f" Left out: {', '.join(found.strangers)}." if found.strangers else ""
    return f"{target}: {len(infos)} tensors.{left}"


def _parts(found: Survey, mapped: mmap.mmap) -> Iterator[bytes]:
    for tensor in found.tensors.values():
        yield _bytes(tensor, found.places[tensor.storage.key], mapped)


def _bytes(tensor: Stored, place: int, mapped: mmap.mmap) -> bytes:
    """The numbers of a tensor in the order of its shape."""
    size = SIZES[tensor.storage.dtype]
    numbers = np.frombuffer(mapped, dtype=f"V{size}", count=tensor.reach, offset=place)
    steps = tuple(stride * size for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, steps, writeable=False)
    return np.ascontiguousarray(view).tobytes()


def confine(source: Path, folder: Path) -> None:
    """From now on this process reads, and writes below `folder` alone: enforced by the system where it can be, and by
    Python's audit hook.
    """
    room = ROOM + 2 * source.stat().st_size
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:
        limits = {
            resource.RLIMIT_AS: room,
            resource.RLIMIT_CPU: SECONDS,
            resource.RLIMIT_FSIZE: 2**26 + 2 * source.stat().st_size,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_NPROC: 0,
        }
        for limit, value in limits.items():
            most = resource.getrlimit(limit)[1]
            least = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(limit, (least, least))
    sys.addaudithook(guard(folder))


def guard(folder: Path) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that refuses what a conversion has no need of."""
    inside = str(folder) + os.sep

    def look(event: str, details: tuple[Any, ...]) -> None:
        if event.startswith(_NEVER):
            _refuse(event)
        if event == "open" and _writes(details) and not str(details[0]).startswith(inside):
            _refuse(f"{event} {details[0]}")

    return look


_NEVER = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "ctypes.",
    "urllib.",
)


def _writes(details: tuple[Any, ...]) -> bool:
    path, mode, flags = details
    if isinstance(path, int):
        return False
    return bool(set(mode or "") & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _refuse(what: str) -> NoReturn:
    raise PermissionError(f"the conversion tried to do what it must not: {what}")


def _check(source: Path, target: Path) -> None:
    if not source.is_file():
        raise EaselError(f"{source}: there is no such file.")
    if target.suffix != ".safetensors":
        raise EaselError(f"{target.name}: the output must end in .safetensors.")
    if target.exists():
        raise StoreError(f"{target} is there already. Move it away, or name another file with -o.")


def _apart(source: Path, target: Path) -> int:
    """The same command in a process of its own, with an empty environment."""
    command = [sys.executable, "-P", "-m", "modules.loading.convert", str(source), "-o", str(target), "--inside"]
    root = Path(__file__).resolve().parents[2]
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "PATH", "LANG", "LC_ALL") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
