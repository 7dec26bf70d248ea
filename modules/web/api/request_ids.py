"""A name for every request: X-Request-ID comes in or is made up; it is in the answer, in error bodies, in the log.

ASGI middleware around everything, the gate included.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from modules.web.api import errors
from modules.web.logs import REQUEST

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
MOST = 1 << 20
"""Bytes of an error body that is still looked into."""


class RequestIds:
    """The middleware. Counts answers by status in `answers`, if it is given."""

    def __init__(self, app: App, *, answered: Callable[[str, int], None] = lambda method, status: None) -> None:
        """answered: told of each answer, (method, status)."""
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        id = _given(scope) or secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = id
        token = REQUEST.set(id)
        try:
            await self._named(scope, receive, send, id)
        finally:
            REQUEST.reset(token)

    async def _named(self, scope: Scope, receive: Receive, send: Send, id: str) -> None:
        answer = _Answer(send, id)
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            if scope["type"] == "http" and not answer.status:
                response = errors.answer(
                    type(error).__name__, f"Unexpected {type(error).__name__}: {error}", status=500
                )
                await response(scope, receive, answer)
            raise
        finally:
            if scope["type"] == "http":
                self._answered(scope["method"], answer.status or 499)


class _Answer:
    """A `send` that adds the id. status: of the answer, 0 while there is none."""

    def __init__(self, send: Send, id: str) -> None:
        self._send = send
        self._id = id
        self._start: Message | None = None
        self._body = b""
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            self.status = message.get("status", 101)
            own = [pair for pair in message.get("headers", ()) if pair[0].lower() != HEADER]
            message = {**message, "headers": [*own, (HEADER, self._id.encode("ascii"))]}
            if self.status >= 400 and _is_json(own):
                self._start = message  # with its body, whose length changes
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body") and len(self._body) < MOST:
                return
            start, body = self._start, self._body
            if not message.get("more_body"):
                body = _with_id(body, self._id)
                kept = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
                start = {**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]}
            self._start = None
            await self._send(start)
            message = {**message, "body": body}
        await self._send(message)


def _given(scope: Scope) -> str:
    """The id that the client gave, "" if none or one that could break a log."""
    found: list[bytes] = [value for name, value in scope["headers"] if name.lower() == HEADER]
    return found[0].decode("ascii") if found and _SANE.fullmatch(found[0]) else ""


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"application/json") for name, value in headers)


def _with_id(body: bytes, id: str) -> bytes:
    try:
        content = json.loads(body)
    except ValueError:
        return body
    return errors.dumps({**content, "request_id": id}).encode("ascii") if isinstance(content, dict) else body
