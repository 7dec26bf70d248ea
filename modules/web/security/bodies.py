"""How much a request may send: counted as it comes, so that one without a length is stopped too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

MOST = 256 * 2**20
"""Bytes of a body: some dozens of large pictures in base64."""
MOST_UPLOADED = 2**30
"""Bytes of an upload through the page, which goes to the disk piece by piece."""
UPLOADS = ("/upload", "/gradio_api/upload")


class TooLarge(Exception):
    """The body is larger than it may be."""


def most(path: str) -> int:
    """Bytes that a request to this path may send."""
    return MOST_UPLOADED if path in UPLOADS else MOST


def stated(headers: Mapping[str, str]) -> int:
    """The length that a request says it has; 0 if it says none."""
    length = headers.get("content-length", "")
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


class Counted:
    """A `receive` that stops at so many bytes; `over` tells that it did."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._left = receive, limit
        self.over = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.over = True
                raise TooLarge
        return message
