"""Lists of extensions: what is at an address that the client named is the client's affair, not the server's fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.core.errors import BadRequest
from modules.plugins.installing import index


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be had"), ("<html>", "no list of extensions"), ('{"tags": {}}', 'has no "extensions"')],
)
def test_what_is_no_list_is_told_by_its_address(content: str | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "index.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadRequest, match=f"index.json.*{reason}") as caught:
        index.read(str(file), local=True)
    assert caught.value.field == "url"


def test_a_list_is_read(tmp_path: Path) -> None:
    file = tmp_path / "index.json"
    row = {
        "name": "glow",
        "url": "https://example.org/glow",
        "description": "Glows.",
        "tags": [],
        "added": "2026-01-01",
    }
    file.write_text(json.dumps({"extensions": [row], "tags": {}}))
    (found,) = index.read(str(file), local=True)["extensions"]
    assert (found["name"], found["url"]) == ("glow", "https://example.org/glow")
