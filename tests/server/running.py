"""A real server process for the tests of this folder, and a few words to talk about its answers."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "tests" / "reference" / "models" / "Stable-diffusion"
TINY = CHECKPOINTS / "tiny-sd1.safetensors"

START_SECONDS = 120.0
"""Far more than a start takes; a machine that is busy elsewhere shall not fail a test."""

SMALL: Mapping[str, Any] = {"prompt": "a cat", "seed": 1, "subseed": 1, "steps": 4, "width": 64, "height": 64}

Found = TypeVar("Found")


class Server:
    """`webui.py` as a process of its own on a port of 127.0.0.1; answers requests once this is made.

    data: its --data-dir, where its console output goes too (console.txt, over all starts); flags: on top of the
    usual ones; checkpoints: its --ckpt-dir, None for none; auth: the login its client uses; port: None for a free one.
    Leave it by `with`, `stop` or `kill`. `seconds`: from the start of the process to its first answer. Raises
    RuntimeError with the console's end if it never answers.
    """

    def __init__(
        self,
        data: Path,
        *flags: str,
        checkpoints: Path | None = CHECKPOINTS,
        auth: tuple[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._console = data / "console.txt"
        began = time.monotonic()
        with self._console.open("ab") as console:
            self.process = subprocess.Popen(
                command(data, self.port, *flags, checkpoints=checkpoints),
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        address = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=address, timeout=60, auth=auth, trust_env=False)
        try:
            self._await_first_answer()
        except BaseException:
            self.kill()
            raise
        self.seconds = time.monotonic() - began

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def console(self) -> str:
        """What it printed so far."""
        return self._console.read_text(encoding="utf-8", errors="replace")

    def post(self, path: str, body: Any) -> httpx.Response:
        """POST below /sdapi/v1."""
        return self.client.post(f"/sdapi/v1/{path}", json=body)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET below /sdapi/v1. Raises HTTPStatusError."""
        return self.client.get(f"/sdapi/v1/{path}", params=query).raise_for_status().json()

    def txt2img(self, **body: Any) -> Answer:
        """Make pictures: SMALL with these changes. Raises HTTPStatusError."""
        return Answer(self.post("txt2img", {**SMALL, **body}).raise_for_status())

    def task(self, id: str) -> dict[str, Any]:
        """How far the job with this id is (active, queued, completed, progress, …)."""
        answer = self.client.post("/internal/progress", json={"id_task": id, "live_preview": False})
        return dict(answer.raise_for_status().json())

    def kill(self) -> None:
        """SIGKILL to the whole process group, and wait."""
        self._signal(signal.SIGKILL)
        self.process.wait()
        self.client.close()

    def stop(self, timeout: float = 30) -> int:
        """SIGINT as by Ctrl-C -> exit code; SIGKILL and TimeoutExpired if it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout)
        finally:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and nothing of its group is left
            os.killpg(self.process.pid, number)

    def _await_first_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"The server ended with {self.process.returncode}:\n{self.console[-4000:]}")
            if _answers(self.client):
                return
            time.sleep(0.05)
        raise RuntimeError(f"The server does not answer:\n{self.console[-4000:]}")


class Answer:
    """A finished POST to txt2img: `raw` (its files' bytes), `images`, `info`, `infotexts`."""

    def __init__(self, response: httpx.Response) -> None:
        body = response.json()
        self.raw = [base64.b64decode(text) for text in body["images"]]
        self.images = [Image.open(io.BytesIO(data)) for data in self.raw]
        self.info = json.loads(body["info"])
        self.infotexts: list[str] = self.info["infotexts"]

    @property
    def format(self) -> str | None:
        return self.images[0].format

    def same_as(self, other: Answer) -> bool:
        """Equal pixels, texts and facts; the time of making is free."""
        return self._facts() == other._facts() and [pixels(image) for image in self.images] == [
            pixels(image) for image in other.images
        ]

    def _facts(self) -> dict[str, Any]:
        return {key: value for key, value in self.info.items() if key != "job_timestamp"}


def command(data: Path, port: int, *flags: str, checkpoints: Path | None = CHECKPOINTS) -> list[str]:
    """The words that start a server."""
    folder = ["--ckpt-dir", str(checkpoints)] if checkpoints else []
    usual = ["--port", str(port), "--skip-install", "--data-dir", str(data), *folder, "--use-cpu", "all"]
    return [sys.executable, str(ROOT / "webui.py"), *usual, *flags]


def environment() -> dict[str, str]:
    """One thread a server, so that the tests stay calm on two cores; no flags from outside."""
    inherited = {key: value for key, value in os.environ.items() if key != "COMMANDLINE_ARGS"}
    return {**inherited, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(look: Callable[[], Found], *, seconds: float = 60.0) -> Found:
    """Look again and again until what is seen is truthy -> that. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.03)
    raise TimeoutError(f"Nothing came within {seconds:.0f} s.")


def pixels(image: Image.Image) -> tuple[tuple[int, ...], bytes]:
    """Shape (H, W, C) and the values, comparable."""
    array = np.asarray(image.convert("RGB"))
    return array.shape, array.tobytes()


def blamed(response: httpx.Response) -> str:
    """The field that an error answer names, dotted: Easel's own form and pydantic's."""
    body = response.json()
    if "field" in body:
        return str(body["field"])
    return ".".join(str(part) for part in body["detail"][0]["loc"][1:])


def files(folder: Path) -> set[Path]:
    """All files below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/internal/ping", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
