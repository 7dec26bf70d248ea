"""Addresses of strangers: checked once for every address they mean, and pinned."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from modules.core.errors import BadRequest
from modules.web.security import addresses


def lookup(*found: str) -> Any:
    """A resolver that answers with these addresses, and counts how often it is asked."""

    def resolve(host: str, port: int, **more: Any) -> list[Any]:
        resolve.asked += 1  # type: ignore[attr-defined]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    resolve.asked = 0  # type: ignore[attr-defined]
    return resolve


def test_a_public_one_is_pinned() -> None:
    asked = lookup("93.184.216.34", "1.1.1.1")
    found = addresses.resolve("https://a.example/b.png?c=1", field="image", lookup=asked)
    assert (found.scheme, found.host, found.port, found.address) == ("https", "a.example", 443, "93.184.216.34")
    assert found.path == "/b.png?c=1"
    assert asked.asked == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_private_ones_are_refused(address: str) -> None:
    assert not addresses.is_public(address)
    for found in ((address,), ("93.184.216.34", address)):  # one public answer does not excuse the other
        with pytest.raises(BadRequest, match="private network") as caught:
            addresses.resolve("http://a.example/", field="image", lookup=lookup(*found))
        assert caught.value.field == "image"
    allowed = addresses.resolve("http://a.example/", field="image", forbid_local=False, lookup=lookup(address))
    assert allowed.address == address


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_public_ones_are_public(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]"]
)
def test_other_spellings_of_this_machine(host: str) -> None:
    """The system's own resolver reads them; what it finds is what is checked."""
    with pytest.raises(BadRequest):
        addresses.resolve(f"http://{host}/", field="image")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x",
        "file:///etc/passwd",
        "gopher://a.example",
        "//a.example/x",
        "http://",
        "http:///x",
        "http://a.example:0/",
        "http://a.example:99999/",
        "http://user:secret@a.example/",
        "http://a.exam ple/",
        "http://a.example/\r\nHost: b",
        "http://a.example/\x00",
        "http://ä.example/",
        "http://a.example/" + "x" * 5000,
    ],
)
def test_what_is_no_plain_address(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        addresses.resolve(url, field="image", lookup=lookup("93.184.216.34"))
    assert "secret" not in str(caught.value)


def test_a_name_that_nobody_has() -> None:
    def nobody(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror("no such name")

    with pytest.raises(BadRequest, match="cannot be found"):
        addresses.resolve("http://a.example/", field="image", lookup=nobody)
