"""A server of a benchmark's own: webui.py in a process of its own, on a free port, writing to a temporary folder."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 300


@contextlib.contextmanager
def server(*words: str) -> Iterator[str]:
    """With these flags besides --api -> its address, once it can make pictures. What it says stays on the terminal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "webui.py"), "--api", "--port", str(port), "--data-dir", folder, *words]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            _await_ready(address)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def _await_ready(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/healthz", params={"ready": True}).status_code == 200:
                return
        time.sleep(0.2)
    raise SystemExit("The server does not answer.")
