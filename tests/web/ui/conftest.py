"""A fresh small program (fakes.py) for every test that asks for one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.ui.fakes import World, world
from tests.web.ui.serving import Open, serving


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


@pytest.fixture
def opened(make_world: Callable[..., World], chromium: Any) -> Iterator[Callable[..., tuple[World, Open]]]:
    """(world, open a browser on it), with keywords of `fakes.world`; everything is closed afterwards.

    Whatever a test does: no page of it may complain in the console, or ask another host.
    """
    from tests.visitor import LEFT, Visitor

    visitors: list[Visitor] = []
    with contextlib.ExitStack() as stack:

        def start(**given: Any) -> tuple[World, Open]:
            world = make_world(**given)
            address = stack.enter_context(serving(world))

            def visit(**context: Any) -> Any:
                visitor = Visitor(chromium, address, **context)
                visitors.append(visitor)
                stack.callback(visitor.context.close)
                return visitor

            return world, visit

        yield start
        said = [each for visitor in visitors for each in (*visitor.complaints, *visitor.foreign)]
        assert [each for each in said if not LEFT.search(each)] == []
