"""Who somebody is: names and passwords of the flags, HTTP Basic, and sessions of those who logged in on the page."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

Users = Sequence[tuple[str, str]]
"""(name, password)."""

COOKIE = "easel-session"
LASTS = 30 * 24 * 3600.0
"""Seconds that a session lasts."""
MOST = 10_000


def who(name: bytes, password: bytes, users: Users) -> str | None:
    """The user's name, None for nobody. All users are compared, each in a time that tells neither how much of a
    password is right nor how long it is.
    """
    matches = [user for user, right in users if _same(name, user) & _same(password, right)]
    return matches[0] if matches else None


def _same(given: bytes, right: str) -> bool:
    ours = hashlib.sha256(right.encode("utf-8", "surrogatepass")).digest()
    return secrets.compare_digest(hashlib.sha256(given).digest(), ours)


def basic(header: str) -> tuple[bytes, bytes] | None:
    """(name, password) of an Authorization header (RFC 7617, UTF-8); None if it is no Basic one."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    name, colon, password = decoded.partition(b":")
    return (name, password) if colon else None


@dataclasses.dataclass(frozen=True)
class Session:
    user: str
    ends: float


class Sessions:
    """Those who are logged in, by a secret that only their browser has. In memory: a restart logs everybody out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._by_digest: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, user: str) -> str:
        """-> the secret for the cookie."""
        secret = secrets.token_urlsafe(32)
        with self._guard:
            self._by_digest[_digest(secret)] = Session(user, self._clock() + LASTS)
            while len(self._by_digest) > MOST:
                self._by_digest.popitem(last=False)
        return secret

    def user(self, secret: str) -> str | None:
        """Whose session this is, None if it is none or has ended. Found by its digest: no time tells a part of it."""
        session = self._by_digest.get(_digest(secret))
        return session.user if session and session.ends > self._clock() else None

    def end(self, secret: str) -> None:
        with self._guard:
            self._by_digest.pop(_digest(secret), None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
