"""The program and a client of it: a fresh one for each test, and one (`idle`) for all tests that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("idle")) as running:
        yield running


@pytest.fixture(scope="session")
def asking(idle: World) -> Iterator[TestClient]:
    """A client of `idle`."""
    with TestClient(idle.app, raise_server_exceptions=False) as calling:
        yield calling


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with TestClient(world.app, raise_server_exceptions=False) as calling:
        yield calling
