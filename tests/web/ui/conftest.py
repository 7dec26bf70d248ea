"""A fresh small program (fakes.py) for every test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.ui.fakes import World, world


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Worlds with keywords of `fakes.world`, closed afterwards."""
    made: list[World] = []

    def make(**given: Any) -> World:
        made.append(world(tmp_path / f"world-{len(made)}", **given))
        return made[-1]

    yield make
    for one in made:
        one.close()
