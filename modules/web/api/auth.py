"""Who may call: HTTP Basic on every /sdapi route when --api-auth is given, and the origins pages may call from."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware

from modules.settings.flags import Flags

_CHALLENGE = {"WWW-Authenticate": "Basic"}


def guard(users: Sequence[tuple[str, str]]) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets pass one of `users` (name, password), everybody when there are none; 401 otherwise.

    It leaves the name in `request.state.user` ("" without logins): the owner of the jobs that the request submits.
    """

    async def check(request: Request) -> None:
        request.state.user = _name(request.headers.get("authorization", ""), users) if users else ""

    return check


def _name(header: str, users: Sequence[tuple[str, str]]) -> str:
    """Who it is. All users are compared, each in a time that does not tell how much of a password is right."""
    given = _credentials(header)
    if given is None:
        raise HTTPException(401, "Log in with HTTP Basic: a name and password of --api-auth.", _CHALLENGE)
    matches = [name for name, password in users if _same(given[0], name) & _same(given[1], password)]
    if not matches:
        raise HTTPException(401, "Incorrect username or password.", _CHALLENGE)
    return matches[0]


def _credentials(header: str) -> tuple[bytes, bytes] | None:
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


def _same(given: bytes, right: str) -> bool:
    return secrets.compare_digest(given, right.encode("utf-8", "surrogatepass"))


def allow_origins(app: FastAPI, flags: Flags) -> None:
    """Let pages of the origins in --cors-allow-origins (with commas) or --cors-allow-origins-regex call `app`."""
    origins = [origin.strip() for origin in (flags.cors_allow_origins or "").split(",") if origin.strip()]
    if origins or flags.cors_allow_origins_regex:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_origin_regex=flags.cors_allow_origins_regex,
            allow_methods=["*"],
            allow_headers=["*"],
            allow_credentials=True,
        )
