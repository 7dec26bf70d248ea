"""While work goes on: progress is told at once, interrupt keeps what is there, skip goes on with the next batch."""

from __future__ import annotations

import base64
import io
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.server.running import Answer, Server, until

ENDLESS = 10_000
"""Steps that take longer than any test waits."""

Start = Callable[..., "Future[Answer]"]


@pytest.fixture
def start(server: Server) -> Iterator[Start]:
    """Begin a job in a thread; all are interrupted in the end."""
    with ThreadPoolExecutor(4) as pool:
        begun: list[Future[Answer]] = []

        def submit(**body: Any) -> Future[Answer]:
            begun.append(pool.submit(server.txt2img, **{"steps": ENDLESS, "n_iter": 2, **body}))
            return begun[-1]

        yield submit
        while not all(each.done() for each in begun):
            server.client.post("/sdapi/v1/interrupt").raise_for_status()
            time.sleep(0.1)


def sampling(server: Server, *, batch: int = 0, least: int = 5) -> dict[str, Any]:
    """Wait until so many steps of this batch are done -> the progress then."""

    def look() -> dict[str, Any] | None:
        now = server.get("progress", skip_current_image=True)
        state = now["state"]
        return now if state["job_no"] == batch and state["sampling_step"] >= least else None

    return until(look)


def test_idle_progress_is_zero(server: Server) -> None:
    now = server.get("progress")
    assert (now["progress"], now["eta_relative"], now["current_image"]) == (0, 0, None)
    assert now["state"]["job_count"] == 0


def test_progress_counts_while_the_job_runs(server: Server, start: Start) -> None:
    start(force_task_id="counted", steps=2000)
    early = sampling(server)
    later = sampling(server, least=early["state"]["sampling_step"] + 3)
    state = later["state"]
    assert (state["sampling_steps"], state["job_count"], state["job"]) == (2000, 2, "counted")
    assert 0 < early["progress"] < later["progress"] < 0.5
    assert later["progress"] == pytest.approx(state["sampling_step"] / 4000)
    assert later["eta_relative"] > 0
    assert later["current_image"] is None


def test_a_watched_job_shows_itself(server: Server, start: Start) -> None:
    start(override_settings={"show_progress_every_n_steps": 1})
    sampling(server)
    shown = until(lambda: server.get("progress")["current_image"])
    with Image.open(io.BytesIO(base64.b64decode(shown))) as preview:
        assert min(preview.size) > 0
    assert server.get("progress", skip_current_image=True)["current_image"] is None


def test_progress_answers_while_the_worker_is_busy(server: Server, start: Start) -> None:
    start(batch_size=4)
    sampling(server, least=1)
    waits = []
    for _ in range(10):
        began = time.monotonic()
        server.get("progress")
        waits.append(time.monotonic() - began)
    assert statistics.median(waits) < 1.0


def test_interrupt_returns_the_picture_so_far(server: Server, start: Start) -> None:
    job = start(n_iter=3)
    sampling(server)
    server.client.post("/sdapi/v1/interrupt").raise_for_status()
    answer = job.result(timeout=30)
    assert len(answer.images) == 1
    assert answer.images[0].size == (64, 64)
    assert f"Steps: {ENDLESS}" in answer.infotexts[0]
    assert server.get("progress")["state"]["job_count"] == 0


def test_an_interrupt_is_for_the_running_job_alone(server: Server, start: Start) -> None:
    job = start()
    sampling(server)
    waiting = start(steps=2, n_iter=1, force_task_id="waits-its-turn")
    until(lambda: server.task("waits-its-turn")["queued"])
    server.client.post("/sdapi/v1/interrupt").raise_for_status()
    assert len(job.result(timeout=30).images) == 1
    assert waiting.result(timeout=30).same_as(server.txt2img(steps=2))


def test_skip_goes_on_with_the_next_batch(server: Server, start: Start) -> None:
    job = start()
    for batch in range(2):
        sampling(server, batch=batch)
        server.client.post("/sdapi/v1/skip").raise_for_status()
    answer = job.result(timeout=30)
    assert len(answer.images) == 2
    assert answer.info["all_seeds"] == [1, 2]
    assert answer.raw[0] != answer.raw[1]


def test_stopping_while_nothing_runs_changes_nothing(server: Server) -> None:
    server.client.post("/sdapi/v1/interrupt").raise_for_status()
    server.client.post("/sdapi/v1/skip").raise_for_status()
    assert len(server.txt2img(n_iter=2, steps=2).images) == 2
