"""Whose request it is, and the origins that pages may call from. Who may call at all: see `web.security.gate`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware

from modules.settings.flags import Flags

_CHALLENGE = {"WWW-Authenticate": "Basic"}


def guard(users: Sequence[tuple[str, str]]) -> Callable[[Request], Awaitable[None]]:
    """A dependency for routes that need a login when there are `users`: 401 where no gate has let somebody in.

    The gate leaves the name in `request.state.user` ("" without logins): the owner of the jobs that a request submits.
    """

    async def check(request: Request) -> None:
        request.state.user = getattr(request.state, "user", "")
        if users and not request.state.user:
            raise HTTPException(401, "Log in with HTTP Basic: a name and password of --api-auth.", _CHALLENGE)

    return check


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
