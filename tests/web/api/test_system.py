"""Memory and flags."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import World

FLAGS = Path(__file__).parents[4] / "shared" / "reference" / "get" / "cmd-flags.json"


def test_memory_is_what_the_program_measured(client: TestClient) -> None:
    expected = {"ram": {"free": 1, "used": 1, "total": 2}, "cuda": {"error": "unavailable"}}
    assert client.get("/sdapi/v1/memory").json() == expected


@pytest.mark.reference
@pytest.mark.skipif(not FLAGS.exists(), reason="A1111's answer is not here")
def test_flags_have_the_keys_of_a1111(client: TestClient) -> None:
    assert set(client.get("/sdapi/v1/cmd-flags").json()) == set(json.loads(FLAGS.read_text(encoding="utf-8")))


def test_flags_tell_no_password(tmp_path: Path) -> None:
    world = World(tmp_path, "--api-auth", "me:open sesame", "--port", "7999")
    answer = TestClient(world.app).get("/sdapi/v1/cmd-flags", auth=("me", "open sesame"))
    assert answer.status_code == 200
    assert "sesame" not in answer.text
    assert answer.json()["port"] == "7999"


@pytest.mark.parametrize(("flag", "status"), [("--autolaunch", 404), ("--nowebui", 200), ("--api", 200)])
def test_there_is_an_api_when_a_flag_asks_for_it_and_the_pages_routes_always(
    tmp_path: Path, flag: str, status: int
) -> None:
    client = TestClient(World(tmp_path, flag, api_flag=False).app)
    assert client.get("/sdapi/v1/samplers").status_code == status
    assert client.get("/internal/ping").status_code == 200
