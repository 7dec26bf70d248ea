"""What stands between the socket and the program. `install` is called once, by `modules.web.api.install`.

gate        the one door: host, origin, size, login, headers      (hosts, bodies, logins, throttle, login_page, headers)
folders     which folders a visitor may name                      exposure    who can reach the server; warnings
addresses   URLs of strangers, resolved once and pinned           fetching    a picture from such a URL

docs/security.md says against whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modules.web.security.gate import Gate

if TYPE_CHECKING:
    from fastapi import FastAPI

    from modules.settings.flags import Flags

__all__ = ["Gate", "install"]


def install(app: FastAPI, flags: Flags) -> None:
    """Put the gate before everything that the application serves, now or later."""
    app.add_middleware(Gate, flags=flags)
