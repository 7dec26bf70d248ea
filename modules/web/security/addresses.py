"""Addresses that strangers name (URL inputs, webhooks): resolved once, checked, and pinned to what was checked.

Whoever connects uses `Target.address`, never the name again: a name that answers with a public address now and with a
private one a second later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from modules.core.errors import BadRequest

Lookup = Callable[..., list[Any]]
"""Like `socket.getaddrinfo`."""

_PORTS = {"http": 80, "https": 443}
_LONGEST = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Where to connect: address is an IP address; host the name for the Host header and the certificate; path with
    its query.
    """

    scheme: str
    host: str
    port: int
    address: str
    path: str


def resolve(url: str, *, field: str, forbid_local: bool = True, lookup: Lookup = socket.getaddrinfo) -> Target:
    """The one address that this URL means now. Raises BadRequest(field).

    With forbid_local every address of the name must be a public one: private, loopback, link-local (cloud metadata),
    multicast and reserved ranges are refused, also where they are wrapped into IPv6.
    """
    parts = _parts(url, field)
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = lookup(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadRequest(f"{field}: the address {host} cannot be found.", field=field) from error
    addresses = list(dict.fromkeys(str(row[4][0]).partition("%")[0] for row in found))
    if not addresses:
        raise BadRequest(f"{field}: the address {host} cannot be found.", field=field)
    if forbid_local and not all(map(is_public, addresses)):
        raise BadRequest(f"{field}: {host} lies in a private network; such addresses are refused.", field=field)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, port=port, address=addresses[0], path=path)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _nat64(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside 64:ff9b::/96 (RFC 6052)."""
    inside = ip in ipaddress.IPv6Network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if inside else None


def _parts(url: str, field: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise BadRequest(f"{field}: this is no address: {error}.", field=field) from error
    plain = url.isascii() and url.strip().isprintable() and " " not in url.strip() and len(url) <= _LONGEST
    if not plain or parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise BadRequest(f"{field}: only plain http:// and https:// addresses are read.", field=field)
    if parts.username is not None or parts.password is not None:
        raise BadRequest(f"{field}: an address with a login in it is not read.", field=field)
    return parts
