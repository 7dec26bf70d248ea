"""Running programs for the tests of security; see tests/web/api/fakes.py."""

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


@pytest.fixture
def client(world: World) -> TestClient:
    return TestClient(world.app, raise_server_exceptions=False)


@pytest.fixture
def exposed(tmp_path: Path) -> Iterator[World]:
    """One that other machines reach, without logins."""
    with World(tmp_path, "--listen") as running:
        yield running
