"""The page of a small program (fakes.py) on a free port of this machine, for tests with a browser."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from modules.web.api import extensions
from modules.web.ui import page as easel_page
from tests.web.ui.fakes import World

if TYPE_CHECKING:
    from tests.visitor import Visitor

Open = Callable[..., "Visitor"]


@contextlib.contextmanager
def serving(world: World) -> Iterator[str]:
    """The world's page on a free port -> its address."""
    app = FastAPI()
    app.include_router(extensions.files(world.services))
    easel_page.mount(app, world.services)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
