"""/easel/v1/jobs and /queue: what is submitted is found, moved, stopped and fetched, and the same key makes one job."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.web.api.fakes import World

JOBS = "/easel/v1/jobs"
ALICE, BOB = ("alice", "one"), ("bob", "two")


def body(prompt: str = "a cat", kind: str = "txt2img", **more: Any) -> dict[str, Any]:
    request = {"prompt": prompt, "width": 64, "height": 64, "steps": 2, "save_images": False}
    return {"kind": kind, "request": request, **more}


def submit(client: TestClient, prompt: str = "a cat", **more: Any) -> str:
    answer = client.post(JOBS, json=body(prompt, **more))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def held(world: World, client: TestClient) -> str:
    """A job that runs until the painter's gate opens, so that others wait behind it."""
    id = submit(client, "wait")
    assert world.painter.started.wait(10)
    return id


def test_a_job_is_created_followed_and_fetched(world: World, client: TestClient) -> None:
    answer = client.post(JOBS, json=body("a cat"))
    id = answer.json()["id"]
    assert (answer.status_code, answer.headers["location"]) == (201, f"{JOBS}/{id}")
    world.queue.wait(id, 10)
    job = client.get(answer.headers["location"]).json()
    assert (job["state"], job["kind"], job["progress"], job["error"]) == ("done", "txt2img", 1.0, None)
    assert job["request"]["prompt"] == "a cat"
    result = client.get(f"{JOBS}/{id}/result").json()
    (picture,) = result["pictures"]
    assert picture["infotext"].startswith("a cat\n")
    assert picture["data"] is None
    file = client.get(picture["url"])
    assert file.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(file.content)).size == (64, 64)
    (inline,) = client.get(f"{JOBS}/{id}/result", params={"pictures": "base64"}).json()["pictures"]
    assert base64.b64decode(inline["data"]) == file.content
    assert client.get(f"{JOBS}/{id}/pictures/1").status_code == 404


def test_the_same_key_makes_one_job_and_other_work_under_it_is_refused(world: World, client: TestClient) -> None:
    key = {"Idempotency-Key": "order 66"}
    first = client.post(JOBS, json=body("a cat"), headers=key)
    again = client.post(JOBS, json=body("a cat"), headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = client.post(JOBS, json=body("a dog"), headers=key)
    assert other.status_code == 422
    assert other.json()["field"] == "Idempotency-Key"
    assert len(world.queue.list()) == 1


def test_what_cannot_be_done_is_refused_before_it_is_queued(world: World, client: TestClient) -> None:
    bad = body()
    bad["request"]["sampler_name"] = "Eulr"
    assert client.post(JOBS, json=bad).json()["field"] == "sampler_name"
    assert client.post(JOBS, json={"kind": "dance", "request": {}}).status_code == 422
    assert client.post(JOBS, json=body(priority=10**6)).status_code == 422
    assert world.queue.list() == []


@pytest.mark.parametrize("path", ["", "/result", "/events", "/pictures/0"])
def test_an_unknown_job_is_404(client: TestClient, path: str) -> None:
    assert client.get(f"{JOBS}/nobody{path}").status_code == 404


def test_lists_are_filtered_and_paged_without_gaps(world: World, client: TestClient) -> None:
    ids = [submit(client, f"number {index}") for index in range(5)]
    for id in ids:
        world.queue.wait(id, 10)
    seen, cursor = [], ""
    while True:
        page = client.get(JOBS, params={"limit": 2, "state": "done", **({"cursor": cursor} if cursor else {})}).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert seen == ids[::-1]
    oldest = client.get(JOBS, params={"order": "oldest", "limit": 1}).json()
    assert [job["id"] for job in oldest["jobs"]] == ids[:1]
    assert client.get(JOBS, params={"state": "failed"}).json() == {"jobs": [], "cursor": None}
    assert client.get(JOBS, params={"kind": "merge"}).json()["jobs"] == []
    assert client.get(JOBS, params={"cursor": "x"}).status_code == 422


def test_waiting_jobs_are_moved_and_prioritized(world: World, client: TestClient) -> None:
    held(world, client)
    a, b, c = (submit(client, name) for name in "abc")

    def line() -> list[str]:
        return [job["id"] for job in client.get("/easel/v1/queue").json()["waiting"]]

    assert line() == [a, b, c]
    assert client.patch(f"{JOBS}/{c}", json={"before": a}).json()["position"] == 1
    assert line() == [c, a, b]
    client.patch(f"{JOBS}/{c}", json={"last": True})
    assert line() == [a, b, c]
    assert client.patch(f"{JOBS}/{b}", json={"priority": 5}).json()["priority"] == 5
    assert line() == [b, a, c]
    first = submit(client, "first", priority=9)
    assert line() == [first, b, a, c]


def test_cancel_ends_what_waits_and_what_runs_and_retry_runs_it_again(world: World, client: TestClient) -> None:
    running = held(world, client)
    waiting = submit(client)
    assert client.post(f"{JOBS}/{waiting}/cancel").json()["state"] == "cancelled"
    refused = client.get(f"{JOBS}/{waiting}/result")
    assert refused.status_code == 409
    client.delete(f"{JOBS}/{running}")
    assert world.queue.wait(running, 10).state == "done"
    assert client.patch(f"{JOBS}/{running}", json={"priority": 1}).status_code == 422
    again = client.post(f"{JOBS}/{waiting}/retry")
    assert again.status_code == 201
    job = world.queue.wait(again.json()["id"], 10)
    assert (job.state, job.request) == ("done", world.queue.get(waiting).request)


def test_a_paused_queue_takes_no_job_until_it_is_resumed(world: World, client: TestClient) -> None:
    assert client.post("/easel/v1/queue/pause").json()["paused"]
    id = submit(client)
    assert client.get(f"{JOBS}/{id}").json()["state"] == "pending"
    assert client.get("/healthz").json()["queue"] == "paused"
    assert client.get("/easel/v1/queue").json()["count"] == 1
    client.post("/easel/v1/queue/resume")
    assert world.queue.wait(id, 10).state == "done"


def test_with_logins_only_the_owner_changes_a_job(tmp_path: Any) -> None:
    with World(tmp_path, "--api-auth", "alice:one,bob:two") as world, TestClient(world.app) as client:
        assert client.get(JOBS).status_code == 401
        client.post("/easel/v1/queue/pause", auth=ALICE)
        id = client.post(JOBS, json=body(), auth=ALICE).json()["id"]
        assert client.get(f"{JOBS}/{id}", auth=BOB).json()["owner"] == "alice"
        for method, path in (("patch", ""), ("delete", "")):
            answer = client.request(method, f"{JOBS}/{id}{path}", auth=BOB, json={"priority": 3})
            assert answer.status_code == 403
        assert client.post(f"{JOBS}/{id}/cancel", auth=BOB).status_code == 403
        assert client.get(JOBS, params={"owner": "bob"}, auth=BOB).json()["jobs"] == []
        assert client.post(f"{JOBS}/{id}/cancel", auth=ALICE).json()["state"] == "cancelled"


def test_other_kinds_of_work(world: World, client: TestClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(file, "PNG")
    picture = base64.b64encode(file.getvalue()).decode()
    requests = {
        "img2img": {"init_images": [picture], "width": 64, "height": 64},
        "extras": {"imageList": [{"data": picture, "name": "a.png"}], "upscaling_resize": 2},
        "merge": {"primary_model_name": "tiny.safetensors", "interp_method": "No interpolation", "custom_name": "x"},
    }
    for kind, request in requests.items():
        answer = client.post(JOBS, json={"kind": kind, "request": request})
        assert answer.status_code == 201, answer.text
        assert world.queue.wait(answer.json()["id"], 20).state == "done"
        assert client.get(f"{JOBS}/{answer.json()['id']}/result").status_code == 200


def test_training_is_a_job_too(world: World, client: TestClient, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (80, 64), "red").save(pictures / "a.png")
    client.post("/sdapi/v1/create/hypernetwork", json={"name": "mine", "enable_sizes": [320]})
    request = {"hypernetwork_name": "mine", "data_root": str(pictures), "steps": 3, "training_width": 128}
    body = {"kind": "train-hypernetwork", "request": {**request, "training_height": 128}}
    answer = client.post(JOBS, json=body, headers={"Idempotency-Key": "t"})
    id = answer.json()["id"]
    assert (answer.status_code, answer.json()["kind"]) == (201, "training")
    assert world.queue.wait(id, 20).state == "done"
    assert client.get(f"{JOBS}/{id}/result").json()["more"]["path"]
    assert client.post(JOBS, json=body, headers={"Idempotency-Key": "t"}).json()["id"] == id
    wrong = {"kind": "train-embedding", "request": {"embedding_name": "none", "data_root": str(pictures)}}
    assert client.post(JOBS, json=wrong).json()["field"] == "embedding_name"
    nothing = {"kind": "interrogate", "request": {"image": "", "model": "clip"}}
    assert client.post(JOBS, json=nothing).json()["field"] == "image"
