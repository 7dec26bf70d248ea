"""Embeddings and hypernetworks made and trained from inside the program. The composition root makes one `TrainingDesk`.

A training is a job like any other; its work is done by a process of its own, `modules.training.companions.served`,
so that it can be ended at any moment and takes its memory along. A training that was cut off goes on where it was.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import logging
import os
import queue as queues
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest, DamagedFile, EaselError, NotFound
from modules.core.types import JsonObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modules.jobs.progress import Control
    from modules.jobs.queue import Queue
    from modules.loading.library import Library

log = logging.getLogger(__name__)

KIND = "training"
SERVED = "modules.training.companions.served"
ENDINGS = {"embedding": (".pt",), "hypernetwork": (".pt",)}
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_LEAVE_SECONDS = 1.5
_SIDE = 64
"""Sides that SD1's UNet takes are multiples of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """What to train, with what. kind: embedding or hypernetwork; name: of its file; template: of a file with captions,
    "" = the pictures' own; log: the folder for copies; the rest as in `served.Order`.
    """

    kind: str
    name: str
    pictures: str
    steps: int
    rate: float = 0.005
    batch: int = 1
    gather: int = 1
    size: int = 512
    clip: float | None = None
    template: str = ""
    shuffle: bool = False
    drop: float = 0.0
    sampled: bool = True
    every: int = 0
    log: str = "textual_inversion"

    def to_json(self) -> JsonObject:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingDesk:
    """folders: where files of each kind lie; templates: where files of captions lie; clear: forget the models in
    memory, to make room; chosen: the name of the checkpoint in use.
    """

    library: Library
    chosen: Callable[[], str | None]
    folders: Mapping[str, Path]
    data: Path
    templates: Path
    runs: Path
    root: Path
    clear: Callable[[], None]
    queue: Callable[[], Queue]
    cpu: bool = False

    def create_embedding(self, name: str, *, vectors: int, text: str, overwrite: bool) -> Path:
        """A new embedding's file. Raises BadRequest, NoCheckpoint."""
        from modules.networks import creating

        path = creating.target(self.folders["embedding"], name, overwrite=overwrite)
        checkpoint = self.library.chosen(self.chosen())
        try:
            return creating.embedding(path, checkpoint.path, vectors=vectors, text=text)
        except (DamagedFile, FileNotFoundError) as error:
            told = f"{checkpoint.name} cannot be read, so that nothing can be made for it: {error}"
            raise BadRequest(told, field="sd_model_checkpoint") from error

    def create_hypernetwork(self, name: str, sizes: Sequence[int], *, overwrite: bool, **design: Any) -> Path:
        """A new hypernetwork's file; design: fields of `creating.Design`. Raises BadRequest."""
        from modules.networks import creating

        path = creating.target(self.folders["hypernetwork"], name, overwrite=overwrite)
        return creating.hypernetwork(path, sizes, creating.Design(**design))

    def submit(self, request: Training, *, id: str | None = None, owner: str = "") -> str:
        """Check a training and queue it -> job id. Raises BadRequest, NotFound, NoCheckpoint."""
        self.file(request)
        self._templates(request)
        folder = Path(request.pictures)
        if not request.pictures or not folder.is_dir():
            raise BadRequest(f"data_root: there is no folder {request.pictures!r}.", field="data_root")
        if not any(path.suffix.lower() in PICTURES for path in folder.rglob("*")):
            raise BadRequest(f"data_root: no pictures there ({', '.join(PICTURES)}).", field="data_root")
        if request.size % _SIDE:
            raise BadRequest(f"training_width: multiples of {_SIDE} can be trained.", field="training_width")
        checkpoint = self.library.chosen(self.chosen())
        if checkpoint.family != "sd1":
            raise BadRequest(
                f"{checkpoint.name}: only plain Stable Diffusion 1 can be trained with.", field=f"{request.kind}_name"
            )
        row = {"request": request.to_json(), "checkpoint": checkpoint.title}
        return self.queue().submit(KIND, row, id=id, owner=owner)

    def file(self, request: Training) -> Path:
        """The file that is trained. Raises NotFound."""
        folder = self.folders[request.kind]
        known = {path.stem: path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS[request.kind]}
        if request.name not in known:
            hint = f"Make it first: /sdapi/v1/create/{request.kind}."
            raise NotFound(request.kind.title(), request.name, known, field=f"{request.kind}_name", hint=hint)
        return known[request.name]

    def run(self, job: JsonObject, control: Control) -> JsonObject:
        """The queue's runner: a job's row -> its result."""
        request = Training(**job["request"])
        file, folder = self.file(request), self.runs / control.job_id
        checkpoint = self.library.find(job["checkpoint"])
        order = {
            **{name: getattr(request, name) for name in _SAME},
            "file": str(file),
            "checkpoint": str(checkpoint.path),
            "checkpoint_hash": checkpoint.hash,
            "checkpoint_name": checkpoint.model_name,
            "run": str(folder),
            "templates": self._templates(request),
            "copies": str(self._copies(request)),
            "cpu": self.cpu,
        }
        folder.mkdir(parents=True, exist_ok=True)
        told = folder / "order.json"
        told.write_text(json.dumps(order), encoding="utf-8")
        self.clear()
        started = time.perf_counter()
        step = _followed(self._command(told), self.root, request, control)
        seconds = time.perf_counter() - started
        log.info(
            "Job %s: %s %s trained to step %d in %.1f s.", control.job_id, request.kind, request.name, step, seconds
        )
        return {"pictures": [], "path": str(file), "step": step, "interrupted": control.interrupted, "seconds": seconds}

    def _command(self, order: Path) -> list[str]:
        return [sys.executable, "-m", SERVED, str(order)]

    def _copies(self, request: Training) -> Path:
        """A1111's place: LOG/DATE/NAME/embeddings."""
        day = datetime.date.today().isoformat()
        return self.data / request.log / day / request.name / f"{request.kind}s"

    def _templates(self, request: Training) -> list[str]:
        """The lines of the chosen file. Raises NotFound."""
        if request.template in ("", "None"):
            return ["[name], [filewords]"] if request.kind == "embedding" else ["[filewords]"]
        known = {path.name: path for path in self.templates.glob("*.txt")} if self.templates.is_dir() else {}
        if request.template not in known:
            hint = f"Such files lie in {self.templates}."
            raise NotFound("Template", request.template, known, field="template_filename", hint=hint)
        lines = known[request.template].read_text(encoding="utf-8", errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip()] or ["[filewords]"]


_SAME = (
    *("kind", "pictures", "steps", "rate", "batch", "gather", "size", "clip", "shuffle", "drop", "sampled", "every"),
)
"""Fields of an order that are those of the request."""


def _followed(command: list[str], root: Path, request: Training, control: Control) -> int:
    """Let the process work, telling how far it is -> its last step. Raises EaselError with its reason, Abandoned."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    lines: queues.Queue[str | None] = queues.Queue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    try:
        step, error = _listen(process, lines, request, control)
    finally:
        _leave(process)
    if process.returncode:
        raise (
            BadRequest(error["error"], field=error["field"])
            if error.get("field")
            else EaselError(_reason(error, process))
        )
    return step


def _reason(error: JsonObject, process: subprocess.Popen[str]) -> str:
    return str(error.get("error") or f"The training ended with status {process.returncode}.")


def _listen(
    process: subprocess.Popen[str], lines: queues.Queue[str | None], request: Training, control: Control
) -> tuple[int, JsonObject]:
    """(the last step, what went wrong) when the process has ended."""
    assert process.stdin is not None
    error: JsonObject = {}
    step, asked = 0, False
    control.begin(batches=1, steps=request.steps)
    control.text(f"Training {request.name}")
    while True:
        if control.interrupted and not asked:
            asked = True
            with contextlib.suppress(OSError):
                process.stdin.write("finish\n")
                process.stdin.flush()
        control.step(step)  # raises Abandoned when the program ends
        try:
            line = lines.get(timeout=0.2)
        except queues.Empty:
            continue
        if line is None:
            process.wait()
            return step, error
        told: JsonObject = json.loads(line) if line.startswith("{") else {}
        error = told if "error" in told else error
        step = int(told.get("step", step))
        if told.get("text"):
            control.text(str(told["text"]))


def _read(stream: Any, lines: queues.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _leave(process: subprocess.Popen[str]) -> None:
    """The end of its input makes a process that still works save what it has and end; no long wait for that."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LEAVE_SECONDS)
