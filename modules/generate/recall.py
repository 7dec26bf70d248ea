"""What the network has answered in an unfinished batch, on the disk: a job whose process was killed goes on from there.

Its sampling runs again from the first step, and as long as the network is asked the very same questions their answers
are read instead of computed. So every sampler goes on exactly, whatever it remembers between its steps and whatever
noise it draws, and so do both passes of hires fix and a refiner. `run` opens a `Record` for each batch.

A question is told from another by the sum of the bits of what is asked, worked out on the device. A file is the line of
its key and then an answer after the other; what a kill or a power cut left of the last one is cut off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch
from torch import Tensor

from modules.core.store import explain_disk
from modules.generate.plan import Plan
from modules.loading.loader import Model
from modules.loading.prediction import Given, Network

log = logging.getLogger(__name__)

HELD = 2**28
"""Bytes of answers that wait in memory at most."""
MOST = 2**30
"""Bytes of a file at most; a batch that has more goes on from there."""
_MOVING = ("sd_model_checkpoint", "sd_checkpoint_hash")
"""Options that tell the checkpoint otherwise once its file was read through."""
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_FORMATS = {str(each): each for each in (torch.float32, torch.float16, torch.bfloat16, torch.float64)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a network said, (B, C, H, W), to a question (its sum); end: where it ends in the file, in bytes."""

    question: int
    answer: Tensor
    end: int


def facts(work: Plan, model: Model) -> str:
    """A text that is equal where a batch's answers are: request, options, networks, model files, machine."""
    others = [part.checkpoint for part in (work.hires, work.refiner) if part is not None]
    files = [file.path for file in (work.checkpoint, *others) if file is not None]
    told = {
        "request": work.request.to_json(),
        "options": {name: value for name, value in work.options.items() if name not in _MOVING},
        "prompts": [work.prompts, work.negative_prompts, work.seeds, work.subseeds],
        "networks": dict(work.extra),
        "files": [[str(path), *_stamp(path)] for path in files],
        "machine": [work.version, torch.__version__, str(model.placement)],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file, of a folder its own."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def can(work: Plan) -> bool:
    """Whether the answers of this plan's network depend on its questions alone: tiles of Hypertile are drawn anew at
    each call.
    """
    return not (work.options["hypertile_enable_unet"] or work.options["hypertile_enable_unet_secondpass"])


class Record:
    """The answers of one batch, as a context that begins and ends with it. Where the process ends in it, or is told to,
    the file stays; otherwise it goes.

    path: of the file, None: nothing is kept; every: seconds between two savings, so that what is done sooner never
    writes; clock: seconds that never go back. A disk that refuses is told in the log; the batch goes on without.
    """

    def __init__(self, path: Path | None, *, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path if every > 0 else None
        self._every = every
        self._clock = clock
        self._saved = clock()
        self._found: deque[Answer] = deque()
        self._end = 0  # of what holds in the file
        self._key: Callable[[], str] = str
        self._new: list[tuple[Tensor, Tensor]] = []  # question () int64, answer
        self._held = 0
        self._writing: ThreadPoolExecutor | None = None
        self._over = threading.Event()  # no more is written

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = kind is not None and not issubclass(kind, Exception)
        if left and self._new:
            self._save()
        if self._writing is not None:
            self._writing.shutdown()
        if not left and self._path is not None:
            _remove(self._path)

    def open(self, key: Callable[[], str]) -> None:
        """Look for what was kept under this key, which is asked for when there is a file or is to be one."""
        if self._path is None:
            return
        self._key = key
        found, self._end = read(self._path, key()) if self._path.exists() else ([], 0)
        self._found = deque(found)
        if found:
            log.info("%s: sampling goes on behind %d answers of the network.", self._path.parent.name, len(found))

    def around(self, network: Network) -> Network:
        """The network, whose answers are kept and read."""
        if self._path is None:
            return network

        def call(x: Tensor, time: Tensor, given: Given) -> Tensor:
            question = asked(x, time, given)
            known = self._known(question, x.device)
            if known is not None:
                return known
            answer = network(x, time, given)
            self._keep(question, answer)
            return answer

        return call

    def _known(self, question: Tensor, device: torch.device) -> Tensor | None:
        if not self._found:
            return None
        first = self._found.popleft()
        if first.question != int(question):
            self._found.clear()  # the work took another way: from here on it is made anew
            return None
        self._end = first.end
        if not self._found:
            self._saved = self._clock()
        return first.answer.to(device)

    def _keep(self, question: Tensor, answer: Tensor) -> None:
        if self._over.is_set():
            return
        self._new.append((question, answer))
        self._held += answer.nbytes
        if self._clock() - self._saved >= self._every or self._held >= HELD:
            self._save()

    def _save(self) -> None:
        """Have what is new written, beside the work."""
        new, self._new, self._held, self._saved = self._new, [], 0, self._clock()
        if self._writing is None:
            self._writing = ThreadPoolExecutor(1, thread_name_prefix="easel-unfinished")
        self._writing.submit(self._write, new)

    def _write(self, new: list[tuple[Tensor, Tensor]]) -> None:
        assert self._path is not None
        if self._over.is_set():
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "r+b" if self._end else "w+b") as file:
                self._end = append(file, self._end, self._key(), new)
        except (OSError, RuntimeError) as error:  # the disk's, the device's
            self._over.set()
            reason = explain_disk(error, "the disk refused") if isinstance(error, OSError) else str(error)
            log.warning("%s: unfinished sampling is not saved: %s", self._path, reason)
            _remove(self._path)
        if self._end >= MOST:
            self._over.set()


NOTHING = Record(None, every=0)
"""Keeps nothing and knows nothing."""


def of_batch(folder: Path | None, work: Plan, batch: range) -> Record:
    """The record of a batch in its job's folder (None: none is kept)."""
    if folder is None or not can(work):
        return NOTHING
    name = f"{batch.start}-{batch.stop}.answers"
    return Record(folder / name, every=work.options["unfinished_save_seconds"])


def asked(x: Tensor, time: Tensor, given: Given) -> Tensor:
    """A question's sum () int64: of the bits of all that is asked, in any order, without waiting for the device."""
    parts = (x, time, given.context, given.pooled, given.ids, given.concat)
    sums = [_bits(part).sum(dtype=torch.int64) for part in parts if part is not None]
    return torch.stack([each.to(x.device) for each in sums]).sum()


def _bits(part: Tensor) -> Tensor:
    return part.contiguous().view(_BITS[part.element_size()])


def append(file: IO[bytes], end: int, key: str, new: list[tuple[Tensor, Tensor]]) -> int:
    """Write answers behind byte `end` of a file, whatever is there now, and bring them to the disk -> its new end."""
    file.seek(end)
    file.truncate()
    if not end:
        file.write(json.dumps({"key": key}).encode() + b"\n")
    questions = torch.stack([question for question, _ in new]).tolist()
    for question, (_, answer) in zip(questions, new, strict=True):
        data = answer.contiguous().cpu().view(torch.uint8).numpy().tobytes()
        told = {
            "question": question,
            "format": str(answer.dtype),
            "shape": list(answer.shape),
            "channels_last": not answer.is_contiguous(),
            "bytes": len(data),
            "crc": zlib.crc32(data),
        }
        file.write(json.dumps(told).encode() + b"\n" + data)
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


def read(path: Path, key: str) -> tuple[list[Answer], int]:
    """(the answers that a file has whole, where the last one ends); none where it is of another key or damaged."""
    try:
        with open(path, "rb") as file:
            if _line(file).get("key") != key:
                return [], 0
            begun = file.tell()
            found = list(_answers(file))
    except OSError:
        return [], 0
    return found, found[-1].end if found else begun


def _answers(file: IO[bytes]) -> Iterator[Answer]:
    while told := _line(file):
        data = file.read(told.get("bytes", 0))
        if zlib.crc32(data) != told.get("crc") or told.get("format") not in _FORMATS:
            return
        answer = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(_FORMATS[told["format"]])
        answer = answer.reshape(told["shape"])
        if told["channels_last"]:  # sums over it are worked out in the same order
            answer = answer.contiguous(memory_format=torch.channels_last)
        yield Answer(question=told["question"], answer=answer, end=file.tell())


def _line(file: IO[bytes]) -> dict[str, Any]:
    """The facts of the next line; {} where it is none."""
    try:
        told = json.loads(file.readline(4096))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # none was written, or the folder is gone
        path.unlink()
        path.parent.rmdir()
