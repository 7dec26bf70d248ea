"""The HTTP server: one socket, bound before anything is announced; uvicorn serves on it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
import threading
import webbrowser
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from modules.core.errors import EaselError
from modules.web.security import exposure

if TYPE_CHECKING:
    from fastapi import FastAPI

    from modules.settings.flags import Flags

log = logging.getLogger(__name__)

FIRST_PORT = 7860
PORTS_TRIED = 100


def bind(flags: Flags) -> socket.socket:
    """The listening socket: the port that was asked for, or the first free one from 7860 on. Raises EaselError."""
    if flags.port is not None:
        return _bound(flags.host, flags.port)
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        with contextlib.suppress(EaselError):
            return _bound(flags.host, port)
    raise EaselError(f"No free port on {flags.host} from {FIRST_PORT} on. Choose one with --port.")


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once (TCP_NODELAY) only where it reads that this is TCP: else an answer waits 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows lets two programs share a port otherwise
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise EaselError(f"Cannot listen on {host} port {port}: {reason}. Choose another with --port.") from error
    return listener


def address(flags: Flags, listener: socket.socket) -> str:
    """What to type into a browser on this machine."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if flags.tls_certfile else 'http'}://{shown}:{port}"


class Server(uvicorn.Server):
    """Calls `ready` once requests are answered, and `ending` (which may take its time) before they are not any more."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._ending = ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self._ending)
        await super().shutdown(sockets)


class Stopper:
    """Ends the server in order, from any thread."""

    def __init__(self) -> None:
        self.server: uvicorn.Server | None = None

    def stop(self) -> None:
        if self.server is not None:
            self.server.should_exit = True


def serve(
    asgi: FastAPI,
    flags: Flags,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    ending: Callable[[], None] = lambda: None,
    stopper: Stopper | None = None,
) -> None:
    """Answer requests until Ctrl-C or SIGTERM. Raises EaselError for an unusable certificate."""
    try:
        config = uvicorn.Config(
            asgi,
            log_level="warning",
            timeout_keep_alive=flags.timeout_keep_alive,
            ssl_keyfile=flags.tls_keyfile,
            ssl_certfile=flags.tls_certfile,
            # open streams (a page that follows a job) must not hold up the end
            timeout_graceful_shutdown=3,
        )
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise EaselError(f"--tls-certfile / --tls-keyfile cannot be used: {error}.") from error
    running = Server(config, ready, ending)
    if stopper is not None:
        stopper.server = running
    running.run(sockets=[listener])


def announce(flags: Flags, where: str) -> None:
    """Tell the console (and with --autolaunch the browser) where the page is; warn about an open door."""
    print(f"Easel is running on {where}", flush=True)
    if flags.serves_api:
        print(f"API: {where}/sdapi/v1, described at {where}/docs", flush=True)
    for line in exposure.warnings(flags):
        print(line, flush=True)
    if flags.autolaunch and not flags.nowebui:
        webbrowser.open(where)


@contextlib.contextmanager
def shared(flags: Flags, listener: socket.socket) -> Iterator[None]:
    """With --share: a tunnel to Gradio's share service while the server runs."""
    if not flags.share:
        yield
        return
    thread = threading.Thread(target=_open_tunnel, args=(listener.getsockname()[1],), name="easel-share", daemon=True)
    thread.start()
    yield


def _open_tunnel(port: int) -> None:
    import secrets

    from gradio import networking

    try:
        where = networking.setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None)
    except Exception as error:  # whatever the network says, the local page goes on
        log.error("--share: no public address could be had (%s). The page works on this machine.", error)
        return
    print(f"Public address (72 hours): {where}", flush=True)
