"""One server for all tests that leave it as it was; tests that need another start their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.server.running import TINY, Server

collect_ignore_glob = ["test_*.py"] if os.name == "nt" else []  # process groups and kill -9 are POSIX


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with page and API, for everybody; whoever makes a job waits for its end."""
    assert TINY.exists(), "tests/reference/models is part of the repository"
    with Server(tmp_path_factory.mktemp("server"), "--api") as running:
        yield running
