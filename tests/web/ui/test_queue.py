"""The Queue tab: what it is told is what the queue says, and what it asks for happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modules.generate.request import Txt2Img
from modules.web.ui import page, queue
from tests.web.ui.fakes import World


def board(world: World) -> queue.Board:
    return queue.Board(services=world.services, media=page.media_of(world.services))


def submit(world: World, *prompts: str) -> list[str]:
    rows = [Txt2Img(prompt=prompt, width=64, height=64, steps=2).to_json() for prompt in prompts]
    return [world.services.queue.submit("txt2img", row, owner="ui") for row in rows]


def titles(state: dict[str, Any]) -> list[str]:
    return [job["title"] for job in state["waiting"]]


@pytest.fixture
def held(make_world: Callable[..., World]) -> World:
    """A world whose queue is paused before anything was asked of it."""
    world = make_world()
    world.services.queue.line.pause()
    return world


def test_what_waits_is_listed_in_the_order_in_which_it_runs(held: World) -> None:
    submit(held, "one", "two", "three")
    state = board(held).state({})
    assert state["paused"] is True
    assert titles(state) == ["one", "two", "three"]
    assert state["waiting"][0]["about"] == "64 × 64 · 2 steps · Euler"


@pytest.mark.parametrize(
    ("where", "order"),
    [
        ("first", ["two", "one", "three"]),
        ("up", ["two", "one", "three"]),
        ("down", ["one", "three", "two"]),
        ("last", ["one", "three", "two"]),
    ],
)
def test_a_job_is_moved(held: World, where: str, order: list[str]) -> None:
    jobs = submit(held, "one", "two", "three")
    assert titles(board(held).act({"act": where, "id": jobs[1]})) == order


def test_cancelling_one_or_all_empties_the_line_and_lists_them_as_ended(held: World) -> None:
    jobs = submit(held, "one", "two", "three")
    assert titles(board(held).act({"act": "cancel", "id": jobs[1]})) == ["one", "three"]
    assert titles(board(held).act({"act": "clear"})) == []
    ended = board(held).ended({"states": ["cancelled"]})
    assert {job["title"] for job in ended["jobs"]} == {"one", "two", "three"}
    assert board(held).ended({"states": ["failed"]})["jobs"] == []


def test_a_failure_is_told_and_tried_again(make_world: Callable[..., World]) -> None:
    world = make_world()
    (id,) = submit(world, "fail")
    world.services.queue.wait(id, timeout=20)
    (job,) = board(world).ended({})["jobs"]
    assert (job["state"], job["error"]) == ("failed", "The painter has run out of <colour>.")
    board(world).act({"act": "retry", "id": id})
    assert len(world.services.queue.list(limit=10)) == 2


def test_a_finished_job_shows_its_pictures(make_world: Callable[..., World]) -> None:
    world = make_world()
    (id,) = submit(world, "a cat")
    world.services.queue.wait(id, timeout=20)
    (job,) = board(world).ended({})["jobs"]
    assert job["count"] == 1
    assert job["pictures"][0].startswith("/gradio_api/file=")


def test_jobs_that_are_no_pictures_have_titles_too() -> None:
    row = {"request": {"primary_model_name": "a", "secondary_model_name": "b", "tertiary_model_name": ""}}
    assert queue.title("merge", queue.asked_of(row)) == "a + b"
    assert queue.title("script", {"request": {"prompt": "inner"}}) == "inner"
    assert queue.about({"n_iter": 2, "batch_size": 3}) == "6 pictures"
