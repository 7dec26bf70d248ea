"""Letting the model go and taking it back; ending the program only where its flag is set."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import World

ENDS = ("stop", "restart", "kill")


def test_the_model_is_let_go_and_taken_back_by_the_worker(world: World, client: TestClient) -> None:
    for action in ("unload", "reload"):
        answer = client.post(f"/sdapi/v1/{action}-checkpoint")
        assert (answer.status_code, answer.json()) == (200, {})
    assert world.actions == ["unload", "reload"]


@pytest.mark.parametrize("how", ENDS)
def test_nobody_ends_the_program_without_the_flag(world: World, client: TestClient, how: str) -> None:
    assert client.post(f"/sdapi/v1/server-{how}").status_code == 404
    assert not world.ends


@pytest.mark.parametrize("how", ENDS)
def test_with_the_flag_it_ends(tmp_path: Path, how: str) -> None:
    world = World(tmp_path, "--api-server-stop")
    assert TestClient(world.app).post(f"/sdapi/v1/server-{how}").status_code == 200
    assert world.ends == [how]
