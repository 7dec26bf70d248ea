"""modules.web.api.hangup: who hangs up leaves the job running, unless asked otherwise; never another's."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from modules.web.api import hangup
from tests.web.api.fakes import World

BODY = {"prompt": "wait", "n_iter": 1, "steps": 2, "sampler_name": "Euler", "width": 64, "height": 64}


class Leaves:
    """A request whose client hangs up after a moment."""

    def __init__(self, user: str, headers: dict[str, str]) -> None:
        self.headers = headers
        self.state = SimpleNamespace(user=user)

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}


def waited(world: World, id: str, request: Leaves, seconds: float) -> str | None:
    """The job's state, None when it still runs after so many seconds."""

    async def wait() -> str | None:
        try:
            async with asyncio.timeout(seconds):
                return (await hangup.finished(world.queue, id, request)).state
        except TimeoutError:
            return None

    return asyncio.run(wait())


@pytest.mark.parametrize("header", ["1", "true"])
def test_who_asked_for_it_ends_the_own_job_by_hanging_up(world: World, header: str) -> None:
    id = world.queue.submit("txt2img", BODY, owner="ann")
    assert world.painter.started.wait(10)
    assert waited(world, id, Leaves("ann", {hangup.HEADER: header}), 10) == "done"  # with what there was
    assert not world.painter.gate.is_set()


def test_a_waiting_job_is_taken_out_of_the_line(world: World) -> None:
    world.queue.line.pause()
    id = world.queue.submit("txt2img", BODY, owner="ann")
    assert waited(world, id, Leaves("ann", {hangup.HEADER: "1"}), 10) == "cancelled"


@pytest.mark.parametrize(
    ("user", "headers"), [("ann", {}), ("ann", {hangup.HEADER: "0"}), ("bob", {hangup.HEADER: "1"})]
)
def test_otherwise_the_job_goes_on(world: World, user: str, headers: dict[str, str]) -> None:
    id = world.queue.submit("txt2img", BODY, owner="ann")
    assert waited(world, id, Leaves(user, headers), 0.3) is None
    world.painter.gate.set()
    assert world.queue.wait(id, 10).state == "done"
