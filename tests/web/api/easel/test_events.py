"""Events over server-sent events and WebSockets: each change of state once, in order, also for who comes back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from modules.web.api.easel import stream
from modules.web.api.easel.stream import Wish
from tests.web.api.easel.test_jobs import JOBS, held, submit
from tests.web.api.fakes import World


def parsed(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, event, data) of each message, as an EventSource reads it."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return found


def states(events: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    return [name for _, name, _ in events if name != "progress"]


def test_a_job_is_told_from_its_beginning_to_its_end(world: World, client: TestClient) -> None:
    id = submit(client)
    events = parsed(client.get(f"{JOBS}/{id}/events").text)
    assert states(events) == ["queued", "started", "done"]
    assert {data["job"] for _, _, data in events} == {id}
    result = events[-1][2]["result"]
    assert client.get(result["pictures"][0]["url"]).status_code == 200
    assert all(number == "" for number, name, _ in events if name == "progress")


def test_who_comes_back_gets_what_was_missed_and_nothing_twice(world: World, client: TestClient) -> None:
    id = submit(client)
    world.queue.wait(id, 10)
    events = parsed(client.get(f"{JOBS}/{id}/events").text)
    for index, (number, _, _) in enumerate(events):
        again = client.get(f"{JOBS}/{id}/events", headers={"Last-Event-ID": number})
        if index == len(events) - 1:
            assert again.status_code == 204  # and an EventSource stays away
        else:
            assert parsed(again.text) == events[index + 1 :]


def test_a_failure_says_why(world: World, client: TestClient) -> None:
    id = submit(client, "no model")
    (*_, (_, name, data)) = parsed(client.get(f"{JOBS}/{id}/events").text)
    assert (name, data["error"]["type"]) == ("failed", "NoCheckpoint")


def test_progress_comes_with_previews_only_for_who_asks(world: World, client: TestClient) -> None:
    id = held(world, client)
    with client.websocket_connect(f"{JOBS}/{id}/ws?previews=true") as socket:
        told: list[dict[str, Any]] = []
        while not told or "preview" not in told[-1]:
            told.append(socket.receive_json())
        world.painter.gate.set()
        while told[-1]["type"] != "done":
            told.append(socket.receive_json())
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    shown = next(each for each in told if "preview" in each)
    assert shown["preview"].startswith("data:image/")
    assert (shown["step"], shown["steps"], shown["progress"]) == (1, 2, 0.5)
    assert [each["type"] for each in told if each["type"] != "progress"] == ["queued", "started", "done"]
    numbers = [each["number"] for each in told if each["type"] != "progress"]
    assert numbers == sorted(numbers)


def test_one_stream_tells_of_all_jobs_from_now_on(world: World, client: TestClient) -> None:
    before = submit(client)
    world.queue.wait(before, 10)
    with client.websocket_connect("/easel/v1/events/ws") as socket:
        id = submit(client, "new")
        told = [socket.receive_json()]
        while told[-1]["type"] != "done":
            told.append(socket.receive_json())
    assert {each["job"] for each in told} == {id}


def test_an_unknown_job_has_no_socket(client: TestClient) -> None:
    with client.websocket_connect(f"{JOBS}/nobody/ws") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert closed.value.code == 4404


def test_a_quiet_line_is_kept_open(world: World) -> None:
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds
        await asyncio.sleep(0)

    async def first() -> stream.Told:
        async for told in stream.follow(world.services, Wish(after=0), sleep=sleep, clock=lambda: now[0]):
            return told
        raise AssertionError

    assert asyncio.run(first()).name == ""
    assert now[0] >= stream.QUIET_SECONDS


def test_between_many_events_others_have_their_turn(world: World, client: TestClient) -> None:
    """So that a client that has hung up is noticed before all are written."""
    for _ in range(5):
        world.queue.wait(submit(client), 10)

    async def turns() -> list[int]:
        others, seen = 0, list[int]()

        async def other() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        running = asyncio.ensure_future(other())
        async for _told in stream.follow(world.services, Wish(after=0)):
            seen.append(others)
            if len(seen) == 15:
                break
        running.cancel()
        return seen

    seen = asyncio.run(turns())
    assert seen == sorted(set(seen)), "each event after a turn of the other"
