"""Memory of a mapped file, given back once its numbers have been copied.

A model that computes in another format than its file, or with its convolutions in another order, is a copy: the pages
of the file that were read for it would stay counted as this process's until the system is short of memory.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

_RANGE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S{3}p \S+ \S+ \S+ +(.+)")
_DONTNEED = 4  # Linux: the pages leave this process and stay in the system's cache; who looks again finds them there


class Pages:
    """Where one file is mapped, privately, in this process. Without /proc there is nothing to be known or done."""

    def __init__(self, path: Path) -> None:
        self._ranges = _mapped(str(path.resolve()))

    def let_go(self, tensor: Tensor) -> None:
        """No memory for the whole pages under a contiguous tensor, as far as they are the file's. Call it for what was
        copied and never written to: changes would be lost.
        """
        if not self._ranges or tensor.device.type != "cpu" or not tensor.is_contiguous():
            return
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if start < end and any(low <= start and end <= high for low, high in self._ranges):
            _advise()(start, end - start, _DONTNEED)


def _mapped(path: str) -> tuple[tuple[int, int], ...]:
    """(first byte, behind the last) of each private mapping."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ()
    found = (_RANGE.fullmatch(line) for line in lines)
    return tuple((int(each[1], 16), int(each[2], 16)) for each in found if each and each[3] == path)


@functools.cache
def _advise() -> Callable[[int, int, int], int]:
    """madvise(2)."""
    if os.name == "nt":
        return lambda start, length, advice: -1
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    advise: Callable[[int, int, int], int] = function
    return advise
