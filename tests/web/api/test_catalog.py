"""Lists for menus, in A1111's shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import SHA, World

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "get"


def theirs(name: str) -> list[dict[str, Any]]:
    path = REFERENCE / f"{name}.json"
    if not path.exists():
        pytest.skip("A1111's answers are not here")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.reference
@pytest.mark.parametrize("name", ["samplers", "schedulers"])
def test_a1111s_rows_are_all_there_as_it_lists_them(asking: TestClient, name: str) -> None:
    """Rows of today's field may follow; a row of A1111's name is A1111's row, and the order is its own."""
    expected = theirs(name)
    names = {row["name"] for row in expected}
    assert [row for row in asking.get(f"/sdapi/v1/{name}").json() if row["name"] in names] == expected


def test_checkpoints(world: World, client: TestClient) -> None:
    first, second = client.get("/sdapi/v1/sd-models").json()
    assert first == {
        "title": "tiny.safetensors",
        "model_name": "tiny",
        "hash": None,
        "sha256": None,
        "filename": str(world.painter.folder / "tiny.safetensors"),
        "config": None,
    }
    assert second["model_name"] == "sub_other"
    world.library.hashed(world.library.entries[0])
    hashed = client.get("/sdapi/v1/sd-models").json()[0]
    assert (hashed["title"], hashed["hash"], hashed["sha256"]) == (f"tiny.safetensors [{SHA[:10]}]", SHA[:10], SHA)


def test_refresh_looks_again(world: World, client: TestClient) -> None:
    answer = client.post("/sdapi/v1/refresh-checkpoints")
    assert (answer.status_code, answer.json(), world.library.refreshed) == (200, None, 1)
