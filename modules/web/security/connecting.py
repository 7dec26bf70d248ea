"""One HTTP connection to an address that was resolved and checked (`addresses.Target`), never to its name again."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator

from modules.web.security.addresses import Target


@contextlib.contextmanager
def connected(target: Target, seconds: float) -> Iterator[http.client.HTTPConnection]:
    """Ready to ask; the certificate must be that of the name. seconds: for each wait. Raises OSError."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=seconds)
    line = socket.create_connection((target.address, target.port), timeout=seconds)
    try:
        if target.scheme == "https":
            line = ssl.create_default_context().wrap_socket(line, server_hostname=target.host)
        connection.sock = line
        yield connection
    finally:
        connection.close()
        line.close()
