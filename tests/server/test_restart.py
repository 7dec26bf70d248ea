"""What survives: jobs through kill -9, settings through a restart. And how long a second start takes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.server.running import SMALL, Answer, Server, blamed, files, until

RED = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGCAIAAABxZ0isAAAAEklEQVR4nGP8z4AdMOEQp4sEAJiFAQtsMIKbAAAAAElFTkSuQmCC"
"""A picture file."""

JOBS: Mapping[str, Mapping[str, Any]] = {
    "running": {
        "steps": 30,
        "n_iter": 3,
        "save_images": True,
        "override_settings": {"unfinished_save_seconds": 0.001},
    },
    "second": {"save_images": True, "seed": 20},
    "third": {"seed": -1, "subseed": -1},
    "fourth": {"save_images": True, "n_iter": 2, "override_settings": {"samples_format": "jpg"}},
    "picture": {"init_images": [RED], "mask": RED, "save_images": True},
}
PICTURES = {"running": 4, "second": 1, "third": 1, "fourth": 3, "picture": 1}
"""Several batches, saved, have a grid too."""

CHANGES = {"jpeg_quality": 71, "samples_format": "webp", "CLIP_stop_at_last_layers": 2}


def body(id: str) -> dict[str, Any]:
    return {**SMALL, **JOBS[id], "force_task_id": id}


def route(id: str) -> str:
    return "img2img" if "init_images" in JOBS[id] else "txt2img"


def submit(server: Server, pool: ThreadPoolExecutor, id: str) -> Future[httpx.Response]:
    """POST in a thread, and wait until the job is in the queue."""
    posted = pool.submit(server.post, route(id), body(id))
    until(lambda: server.task(id)["queued"] or server.task(id)["active"])
    return posted


def kill_in_the_second_batch(data: Path) -> list[Future[httpx.Response]]:
    """Start a server, give it all jobs, and kill it while the first is in its second batch."""
    with ThreadPoolExecutor(len(JOBS)) as pool, Server(data, "--nowebui") as server:
        posted = [submit(server, pool, id) for id in JOBS]
        until(lambda: server.task("running")["progress"] > 0.4)
        server.kill()
    return posted


@pytest.fixture(scope="module")
def revived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server started again on the data of one that was killed at work."""
    data = tmp_path_factory.mktemp("killed")
    for posted in kill_in_the_second_batch(data):
        assert isinstance(posted.exception(), httpx.TransportError)  # nobody had an answer yet
    assert files(data / "outputs"), "the first picture was on disk before the kill"
    with Server(data, "--api") as server:
        print(f"\nSecond start, until the first answer: {server.seconds:.1f} s")
        yield server


def test_the_second_start_is_quick(revived: Server) -> None:
    assert revived.seconds < 30


def test_jobs_that_were_in_the_queue_end_by_themselves(revived: Server) -> None:
    until(lambda: all(revived.task(id)["completed"] for id in JOBS))
    assert {revived.task(id)["textinfo"] for id in JOBS} == {"Finished"}


@pytest.mark.parametrize("id", JOBS)
def test_asking_again_gives_the_result_that_is_there(revived: Server, id: str) -> None:
    until(lambda: revived.task(id)["completed"])
    before = files(revived.data)
    answers = [Answer(revived.post(route(id), body(id)).raise_for_status()) for _ in range(2)]
    assert [len(answer.images) for answer in answers] == [PICTURES[id]] * 2
    assert answers[0].raw == answers[1].raw
    assert answers[0].info == answers[1].info
    assert files(revived.data) == before


@pytest.mark.parametrize("id", ["running", "second"])
def test_a_job_that_was_killed_gives_the_picture_of_one_that_was_not(revived: Server, id: str) -> None:
    killed = Answer(revived.post("txt2img", body(id)).raise_for_status())
    assert killed.same_as(Answer(revived.post("txt2img", {**body(id), "force_task_id": None}).raise_for_status()))


def test_the_killed_job_goes_on_behind_what_its_network_answered(revived: Server) -> None:
    until(lambda: revived.task("running")["completed"])
    assert "running: sampling goes on behind" in revived.console
    assert not files(revived.data / "cache" / "unfinished")


def test_another_request_with_the_same_id_is_refused(revived: Server) -> None:
    answer = revived.post("txt2img", {**body("second"), "steps": 5})
    assert (answer.status_code, blamed(answer)) == (422, "force_task_id")


def test_no_file_is_half_written(revived: Server) -> None:
    until(lambda: all(revived.task(id)["completed"] for id in JOBS))
    written = files(revived.data / "outputs") | files(revived.data / "cache" / "results")
    assert {path.suffix for path in written} == {".png", ".jpg"}
    for path in written:
        with Image.open(path) as image:
            image.load()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stopped:
    """How a server ended that was stopped by SIGINT in the middle of a job; settings: its options before."""

    data: Path
    settings: Mapping[str, Any]
    posted: Future[httpx.Response]
    seconds: float
    code: int
    console: str


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    data = tmp_path_factory.mktemp("stopped")
    with ThreadPoolExecutor(1) as pool, Server(data, "--nowebui") as server:
        server.post("options", CHANGES).raise_for_status()
        posted = pool.submit(server.post, "txt2img", {**SMALL, "steps": 10_000, "force_task_id": "long"})
        until(lambda: server.task("long")["active"])
        settings = server.get("options")
        began = time.monotonic()
        code = server.stop()
        seconds = time.monotonic() - began
        return Stopped(data=data, settings=settings, posted=posted, seconds=seconds, code=code, console=server.console)


@pytest.fixture(scope="module")
def frozen(stopped: Stopped) -> Iterator[Server]:
    """The server started again, with --freeze-settings."""
    with Server(stopped.data, "--nowebui", "--freeze-settings") as server:
        yield server


def test_ctrl_c_ends_a_server_at_work(stopped: Stopped) -> None:
    assert stopped.seconds < 20
    assert stopped.code in (0, 130)
    assert "Traceback" not in stopped.console


def test_who_waits_for_a_job_is_told_that_it_goes_on_later(stopped: Stopped) -> None:
    answer = stopped.posted.result()
    assert answer.status_code >= 500
    assert "stays in the queue" in answer.json()["detail"]


def test_the_job_that_was_stopped_goes_on(frozen: Server) -> None:
    assert until(lambda: frozen.task("long")["active"])


def test_settings_outlast_a_restart(stopped: Stopped, frozen: Server) -> None:
    assert stopped.settings.items() >= CHANGES.items()
    # the checkpoint's title grows by its hash once the file has been read, which may have been after the first look
    title = {"sd_model_checkpoint", "sd_checkpoint_hash"}
    after = frozen.get("options")
    assert {key: after[key] for key in after.keys() - title} == {
        key: value for key, value in stopped.settings.items() if key not in title
    }
    assert after["sd_model_checkpoint"].startswith(stopped.settings["sd_model_checkpoint"])


def test_frozen_settings_cannot_be_changed(frozen: Server) -> None:
    before = frozen.get("options")
    answer = frozen.post("options", {"jpeg_quality": 50})
    assert (answer.status_code, blamed(answer)) == (422, "jpeg_quality")
    assert "frozen" in answer.json()["detail"]
    assert frozen.get("options") == before
