"""A picture from an address, for requests that name one instead of sending it. Off unless `api_enable_requests` is on.

One connection to the one address that was checked; no redirects; a picture's type, a size and a time at most.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modules.core.errors import BadRequest
from modules.web.security import addresses
from modules.web.security.addresses import Lookup, Target
from modules.web.security.connecting import connected

MOST_BYTES = 64 * 2**20
SECONDS = 20.0
_CHUNK = 64 * 1024
_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")
_NEVER = ("image/svg",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """What may be fetched: whether anything; whether private networks are refused; agent: the User-Agent, "" = none."""

    enabled: bool = False
    forbid_local: bool = True
    agent: str = ""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Policy:
        return cls(
            enabled=options["api_enable_requests"],
            forbid_local=options["api_forbid_local_requests"],
            agent=options["api_useragent"],
        )


def fetch(
    url: str,
    policy: Policy,
    *,
    field: str,
    lookup: Lookup = socket.getaddrinfo,
    clock: Callable[[], float] = time.monotonic,
    most: int = MOST_BYTES,
    seconds: float = SECONDS,
) -> bytes:
    """The bytes behind an address. Raises BadRequest(field) with the reason and nothing of what was answered."""
    if not policy.enabled:
        off = "addresses are not read; send the picture in base64, or switch api_enable_requests on"
        raise BadRequest(f"{field}: {off}.", field=field)
    if not (policy.agent.isascii() and policy.agent.isprintable()):
        raise BadRequest("api_useragent: only plain ASCII can be sent as a name.", field="api_useragent")
    target = addresses.resolve(url, field=field, forbid_local=policy.forbid_local, lookup=lookup)
    deadline = clock() + seconds
    try:
        with _answer(target, policy.agent, deadline - clock()) as answer:
            _check(answer, field, most)
            return _read(answer, field, most, lambda: deadline - clock())
    except (OSError, http.client.HTTPException) as error:
        raise BadRequest(f"{field}: {target.host} does not answer: {type(error).__name__}.", field=field) from error


@contextlib.contextmanager
def _answer(target: Target, agent: str, seconds: float) -> Iterator[http.client.HTTPResponse]:
    """Ask the pinned address once."""
    with connected(target, seconds) as connection:
        connection.request(
            "GET", target.path, headers={"Accept": "image/*", **({"User-Agent": agent} if agent else {})}
        )
        yield connection.getresponse()


def _check(answer: http.client.HTTPResponse, field: str, most: int) -> None:
    if 300 <= answer.status < 400:
        raise BadRequest(f"{field}: the address leads on to another one; name that one itself.", field=field)
    if answer.status != 200:
        raise BadRequest(f"{field}: the address answers with status {answer.status}.", field=field)
    kind = (answer.getheader("Content-Type") or "").lower()
    if not kind.startswith(_TYPES) or kind.startswith(_NEVER):
        raise BadRequest(f"{field}: there is no picture at this address.", field=field)
    length = answer.getheader("Content-Length") or ""
    if length.isdigit() and int(length) > most:
        raise _too_large(field, most)


def _read(answer: http.client.HTTPResponse, field: str, most: int, left: Callable[[], float]) -> bytes:
    """In pieces, so that neither a slow drip nor an endless answer holds anybody up."""
    pieces, size = [], 0
    while piece := answer.read1(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise _too_large(field, most)
        if left() <= 0:
            raise BadRequest(f"{field}: the address takes too long to answer.", field=field)
    return b"".join(pieces)


def _too_large(field: str, most: int) -> BadRequest:
    return BadRequest(f"{field}: what lies at this address is larger than {most // 2**20} MiB.", field=field)
