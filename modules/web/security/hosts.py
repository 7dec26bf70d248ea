"""Under which names this server answers, and which web pages may make it do something.

A browser lets every page on the web send requests to 127.0.0.1. Two headers tell such requests apart: `Host` says by
which name the browser came (DNS rebinding: a name of the attacker's that points here), `Origin` which page sent it
(CSRF). Programs that are no browsers send no Origin and the right Host.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from modules.settings.flags import Flags

_SAFE = ("GET", "HEAD", "OPTIONS")
_DEFAULT = {"http": 80, "https": 443}
_NOT_FOR_SALE = ("localhost", "local", "lan", "home", "internal")
"""Last parts of names that nobody can register on the internet, so that none of them is an attacker's."""
_NAME = re.compile(r"[a-z0-9_.-]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hosts:
    """names: own host names beyond those of a local network, ".example.org" with all below; origins: web origins that
    may call, "*" for all; pattern: the same as a regular expression.
    """

    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, flags: Flags) -> Hosts:
        names = [*_listed(flags.allowed_hosts), *_listed(flags.server_name)]
        return cls(
            names=tuple(name.lower() for name in names) + ((".gradio.live",) if flags.share else ()),
            origins=tuple(origin.rstrip("/") for origin in _listed(flags.cors_allow_origins)),
            pattern=re.compile(flags.cors_allow_origins_regex) if flags.cors_allow_origins_regex else None,
        )

    def known(self, host: str) -> bool:
        """Whether a `Host` header can be meant for this server: an IP address, a name of a local network, a name that
        a flag tells.
        """
        name = _name(host)
        if name is None:
            return False
        if _is_address(name) or "." not in name or name.rpartition(".")[2] in _NOT_FOR_SALE:
            return True
        return any(name == own or (own.startswith(".") and name.endswith(own)) or own == "*" for own in self.names)

    def may_act(self, method: str, headers: Mapping[str, str], scheme: str) -> bool:
        """Whether the page that sent a request may change something here; for a WebSocket the method is "WS"."""
        if method in _SAFE:
            return True
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") != "cross-site"
        if self.allows(origin):
            return True
        if origin != "null" and not origin.startswith(("http://", "https://")):
            return True  # a browser's extension or an app with a web view: no page of a stranger
        # a browser lets no strange page set X-Forwarded-Host: only the proxy in front does
        own = [headers.get("host", ""), *headers.get("x-forwarded-host", "").split(",")]
        spoken = _both(scheme, origin)
        places = {_place(f"{each}://{host.strip()}") for host in own if host.strip() for each in spoken}
        return _place(origin) in places - {None}

    def allows(self, origin: str) -> bool:
        """Whether CORS lets pages of this origin in."""
        return bool("*" in self.origins or origin in self.origins or (self.pattern and self.pattern.fullmatch(origin)))


def _both(scheme: str, origin: str) -> tuple[str, str]:
    """The scheme in use and that of the origin: behind a proxy that speaks https this server hears http."""
    return scheme.replace("ws", "http"), origin.partition(":")[0]


def _place(origin: str) -> tuple[str, int] | None:
    """(name, port) of an origin; None if it is none."""
    try:
        parts = urlsplit(origin.lower())
        return (parts.hostname, parts.port or _DEFAULT[parts.scheme]) if parts.hostname else None
    except (ValueError, KeyError):
        return None


def _name(host: str) -> str | None:
    """The name in a Host header, without the port; None for what is no name."""
    place = _place(f"http://{host}")
    if place is None or "@" in host:
        return None
    name = place[0].rstrip(".")
    return name if _is_address(name) or _NAME.fullmatch(name) else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _listed(written: str | None) -> list[str]:
    return [part.strip() for part in (written or "").split(",") if part.strip()]
