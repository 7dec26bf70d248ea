"""What is no address of a repository never reaches git."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.core.errors import BadRequest
from modules.plugins.installing.sources import hidden, source


@pytest.mark.parametrize(
    ("url", "kept", "name"),
    [
        ("https://example.org/a/glow.git", "https://example.org/a/glow.git", "glow"),
        ("https://example.org/a/glow/", "https://example.org/a/glow/", "glow"),
        ("ssh://git@example.org:22/a/glow", "ssh://git@example.org:22/a/glow", "glow"),
        ("git@example.org:a/glow.git", "git@example.org:a/glow.git", "glow"),
        ("git://example.org/glow", "git://example.org/glow", "glow"),
        ("http://127.0.0.1:80/glow", "http://127.0.0.1:80/glow", "glow"),
    ],
)
def test_addresses_that_are_taken(url: str, kept: str, name: str) -> None:
    found = source(url, local=True)
    assert (found.url, found.name, found.login) == (kept, name, "")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "https://example.org/a;touch x",
        "https://example.org/$(id)",
        "https://example.org/`id`",
        "https://example.org/a b",
        "https://example.org/a\nb",
        "https://-oProxyCommand=x/a",
        "ssh://-oProxyCommand=x/a",
        "ssh://git:secret@example.org/a",
        "git@-oProxyCommand=x:a",
        "git@example.org:-a",
        "http://example.org/glow",
        "ftp://example.org/glow",
        "file:///no/such/folder",
        "relative/folder",
        "https:///glow",
        "https://example.org/..",
        "https://example.org/.hidden",
        "https://example.org/con",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        source(url, local=True)


@pytest.mark.parametrize(
    "given",
    [
        {"branch": "--upload-pack=x"},
        {"branch": "a..b"},
        {"branch": "a b"},
        {"subfolder": "../other"},
        {"subfolder": "a/.git/hooks"},
        {"subfolder": "a\\b"},
        {"name": "../x"},
        {"name": "a/b"},
    ],
)
def test_branches_folders_and_names_that_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        source("https://example.org/glow", local=True, **given)


def test_folders_are_for_this_machine(tmp_path: Path) -> None:
    assert source(str(tmp_path), local=True, name="x").protocols[0] == "file"
    for url in (str(tmp_path), f"file://{tmp_path}", "http://127.0.0.1/x", "https://127.0.0.1/x", "https://10.0.0.1/x"):
        with pytest.raises(BadRequest):
            source(url, local=False)


def test_logins_are_kept_apart_and_never_shown() -> None:
    found = source("https://me:se%40cret@example.org/glow", local=True)
    assert (found.url, found.login) == ("https://example.org/glow", "me:se@cret")
    assert "cret" not in repr(found)
    assert hidden("fatal: https://me:secret@example.org/a failed") == "fatal: https://***@example.org/a failed"
    assert hidden("ssh://git@example.org/a") == "ssh://git@example.org/a"
