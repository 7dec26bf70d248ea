"""Request ids, /healthz, /metrics: every answer has a name, and a collector understands the numbers."""

from __future__ import annotations

import json
import logging
import re

import pytest
from fastapi.testclient import TestClient

from modules.web.logs import REQUEST, Objects
from tests.web.api.easel.test_jobs import submit
from tests.web.api.fakes import World

ID = {"X-Request-ID": "trace/42:a"}
LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? [0-9.e+-]+')


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/sdapi/v1/samplers"),
        ("get", "/nowhere"),
        ("get", "/broken"),
        ("get", "/missing"),
        ("get", "/bug"),
        ("post", "/sdapi/v1/txt2img"),
    ],
)
def test_the_id_that_came_in_is_in_the_answer_and_in_every_error(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path, headers=ID, json=[] if method == "post" else None)
    assert answer.headers["x-request-id"] == ID["X-Request-ID"]
    if answer.status_code >= 400:
        assert answer.json()["request_id"] == ID["X-Request-ID"]
        assert answer.json()["detail"]


def test_a_refusal_at_the_gate_has_an_id_too(tmp_path: object) -> None:
    with World(tmp_path, "--api-auth", "a:b") as world, TestClient(world.app) as client:
        answer = client.get("/sdapi/v1/samplers")
        assert answer.status_code == 401
        assert answer.json()["request_id"] == answer.headers["x-request-id"] != ""


@pytest.mark.parametrize("bad", ["with space", "new\tline", "x" * 129, "<b>"])
def test_an_id_that_could_break_a_log_is_replaced(client: TestClient, bad: str) -> None:
    given = client.get("/healthz", headers={"X-Request-ID": bad}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", given)


def test_health_tells_what_the_program_can_do(world: World, client: TestClient) -> None:
    answer = client.get("/healthz")
    expected = {"status": "ok", "ready": True, "engine": "ready", "model": "not loaded", "queue": "idle"}
    assert (answer.status_code, answer.json()) == (200, expected)
    world.library.entries.clear()
    assert client.get("/healthz").status_code == 200
    waits = client.get("/healthz", params={"ready": True})
    assert (waits.status_code, waits.json()["model"]) == (503, "none")
    world.queue.stop(10)
    assert client.get("/healthz").json()["status"] == "stopped"


def test_metrics_count_what_was_done(world: World, client: TestClient) -> None:
    done = [submit(client, prompt) for prompt in ("a cat", "bug")]
    for id in done:
        world.queue.wait(id, 10)
    client.get("/missing")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert 'easel_jobs_ended_total{kind="txt2img",state="done"} 1.0' in lines
    assert 'easel_jobs_ended_total{kind="txt2img",state="failed"} 1.0' in lines
    assert 'easel_pictures_total{kind="txt2img"} 1.0' in lines
    assert 'easel_job_seconds_count{kind="txt2img"} 2' in lines
    assert 'easel_job_seconds_bucket{kind="txt2img",le="+Inf"} 2' in lines
    assert 'easel_http_answers_total{method="GET",status="404"} 1.0' in lines


def test_a_job_is_one_line_in_the_log(world: World, client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        id = submit(client)
        world.queue.wait(id, 10)
        world.queue.stop(10)
    (record,) = [record for record in caplog.records if id in record.getMessage()]
    assert re.fullmatch(rf"Job {id} \(txt2img\) done in [0-9.]+ s after waiting [0-9.]+ s, 1 pictures", record.message)
    told = json.loads(Objects().format(record))
    assert (told["job"], told["state"], told["level"]) == (id, "done", "INFO")


def test_a_json_line_names_the_request_and_the_exception() -> None:
    token = REQUEST.set("r1")
    try:
        raise ValueError("odd\n\ud800")
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "f.py", 1, "bad %s", ("thing",), sys.exc_info())
        line = Objects().format(record)
    finally:
        REQUEST.reset(token)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["request"]) == ("bad thing", "r1")
    assert "ValueError" in told["exception"]
