"""Progress, interrupt and skip: A1111's fields, previews only for those who look."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.web.api.fakes import World

IDLE = {
    "progress": 0.0,
    "eta_relative": 0.0,
    "state": {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "",
        "job_count": 0,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    },
    "current_image": None,
    "textinfo": None,
}


@pytest.fixture
def running(world: World) -> Iterator[str]:
    """A job of two batches that has done one step of two and waits."""
    id = world.queue.submit("txt2img", _request("wait"), id="task(run)")
    assert world.painter.started.wait(10)
    yield id
    world.painter.gate.set()


def _request(prompt: str) -> dict[str, Any]:
    return {"prompt": prompt, "n_iter": 2, "steps": 2, "sampler_name": "Euler", "width": 64, "height": 64}


def soon(ask: Callable[[], Any]) -> Any:
    """The first answer that is something; fails the test after 10 seconds."""
    end = time.monotonic() + 10
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end
        threading.Event().wait(0.02)


class TestSdapi:
    def test_idle_is_what_a1111_says_when_idle(self, client: TestClient) -> None:
        assert client.get("/sdapi/v1/progress").json() == IDLE

    def test_a_running_job(self, world: World, client: TestClient, running: str) -> None:
        now = client.get("/sdapi/v1/progress", params={"skip_current_image": True}).json()
        assert now["progress"] == 0.25
        assert now["eta_relative"] >= 0
        assert now["textinfo"] == "Sampling"
        state = now["state"]
        assert set(state) == set(IDLE["state"])  # type: ignore[call-overload]
        assert (state["job"], state["job_count"], state["job_no"]) == (running, 2, 0)
        assert (state["sampling_step"], state["sampling_steps"], state["interrupted"]) == (1, 2, False)
        assert len(state["job_timestamp"]) == 14
        world.painter.gate.set()
        world.queue.wait(running, 10)
        assert client.get("/sdapi/v1/progress").json() == IDLE

    def test_a_preview_is_made_only_for_those_who_ask_for_it(
        self, world: World, client: TestClient, running: str
    ) -> None:
        for _ in range(5):
            client.get("/sdapi/v1/progress?skip_current_image=true")
            threading.Event().wait(0.02)
        assert world.queue.progress(running).preview is None
        encoded = soon(lambda: client.get("/sdapi/v1/progress").json()["current_image"])
        image = Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))
        assert (image.format, image.getpixel((0, 0))) == ("PNG", (200, 100, 50))

    def test_no_preview_when_the_option_is_off(self, world: World, client: TestClient, running: str) -> None:
        world.options.set({"live_previews_enable": False})
        client.get("/sdapi/v1/progress")
        threading.Event().wait(0.05)
        assert world.queue.progress(running).preview is None

    def test_the_preview_has_the_format_of_the_option(self, world: World, client: TestClient, running: str) -> None:
        world.options.set({"live_previews_image_format": "webp"})
        encoded = soon(lambda: client.get("/sdapi/v1/progress").json()["current_image"])
        assert Image.open(io.BytesIO(base64.b64decode(encoded))).format == "WEBP"

    def test_a_wrong_flag_names_the_parameter(self, client: TestClient) -> None:
        answer = client.get("/sdapi/v1/progress?skip_current_image=perhaps")
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "skip_current_image"])

    def test_interrupt_ends_the_job_that_runs(self, world: World, client: TestClient, running: str) -> None:
        answer = client.post("/sdapi/v1/interrupt")
        assert (answer.status_code, answer.json()) == (200, {})
        assert world.queue.wait(running, 10).state == "done"

    def test_skip_ends_the_batch_that_runs(self, world: World, client: TestClient, running: str) -> None:
        answer = client.post("/sdapi/v1/skip")
        assert (answer.status_code, answer.json()) == (200, None)
        assert world.queue.wait(running, 10).state == "done"

    @pytest.mark.parametrize("what", ["interrupt", "skip"])
    def test_stopping_nothing_is_no_error(self, asking: TestClient, what: str) -> None:
        assert asking.post(f"/sdapi/v1/{what}").status_code == 200


class TestInternal:
    URL = "/internal/progress"

    def test_ping(self, asking: TestClient) -> None:
        assert asking.get("/internal/ping").json() == {}

    @pytest.mark.parametrize("body", [{}, {"id_task": "unknown"}, {"id_task": None}])
    def test_a_task_that_does_not_exist(self, asking: TestClient, body: dict[str, Any]) -> None:
        now = asking.post(self.URL, json=body).json()
        assert (now["active"], now["queued"], now["completed"]) == (False, False, False)
        assert now["textinfo"] == "Waiting..."

    def test_from_the_queue_to_the_end(self, world: World, client: TestClient, running: str) -> None:
        later = world.queue.submit("txt2img", _request("x"))
        waiting = client.post(self.URL, json={"id_task": later}).json()
        assert (waiting["queued"], waiting["active"], waiting["textinfo"]) == (True, False, "In queue: 1")
        active = client.post(self.URL, json={"id_task": running, "live_preview": False}).json()
        assert (active["active"], active["progress"], active["live_preview"]) == (True, 0.25, None)
        world.painter.gate.set()
        world.queue.wait(later, 10)
        done = client.post(self.URL, json={"id_task": later}).json()
        assert (done["completed"], done["active"], done["queued"]) == (True, False, False)

    def test_a_preview_comes_once(self, client: TestClient, running: str) -> None:
        def ask(known: int) -> Any:
            return client.post(self.URL, json={"id_task": running, "id_live_preview": known}).json()

        first = soon(lambda: (now := ask(-1))["live_preview"] and now)
        prefix, data = first["live_preview"].split(",")
        assert prefix == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (8, 8)
        assert first["id_live_preview"] == 1
        again = ask(1)
        assert (again["active"], again["live_preview"], again["id_live_preview"]) == (True, None, 1)
