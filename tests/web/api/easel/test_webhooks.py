"""Webhooks: each event that was asked for arrives once, signed; what fails is tried again, also after a restart."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modules.jobs.webhooks import WAITS, Webhooks
from modules.web.webhooks import Sender
from tests.web.api.easel.test_jobs import JOBS, body
from tests.web.api.fakes import World

SECRET = "s3cret"


class Receiver:
    """A server that notes what it is sent; `status` is what it answers."""

    def __init__(self) -> None:
        self.status, self.got = 200, list[tuple[dict[str, str], bytes]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, content))
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def submit(client: TestClient, receiver: Receiver, prompt: str = "a cat", **hook: Any) -> str:
    answer = client.post(JOBS, json=body(prompt, webhook={"url": receiver.url, **hook}))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_the_end_of_a_job_arrives_signed(world: World, client: TestClient, receiver: Receiver) -> None:
    world.forbid_local = False
    id = submit(client, receiver, secret=SECRET)
    until(lambda: receiver.got)
    ((headers, content),) = receiver.got
    told = json.loads(content)
    assert (told["job"], told["type"], told["kind"]) == (id, "done", "txt2img")
    assert len(told["result"]["pictures"]) == 1
    signed = headers["x-easel-timestamp"].encode() + b"." + content
    assert headers["x-easel-signature"] == "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    until(lambda: client.get("/easel/v1/webhooks").json()["deliveries"][0]["state"] == "sent")
    assert SECRET not in client.get("/easel/v1/webhooks").text


def test_only_the_events_that_were_asked_for_arrive(world: World, client: TestClient, receiver: Receiver) -> None:
    world.forbid_local = False
    submit(client, receiver, events=["queued", "started", "done"])
    until(lambda: len(receiver.got) == 3)
    submit(client, receiver, "bug", events=["done"])
    failed = submit(client, receiver, "bug", events=["failed"])
    until(lambda: len(receiver.got) == 4)
    told = json.loads(receiver.got[-1][1])
    assert (told["job"], told["error"]["type"]) == (failed, "ZeroDivisionError")


def test_a_private_address_is_refused_before_the_job_is_queued(
    world: World, client: TestClient, receiver: Receiver
) -> None:
    answer = client.post(JOBS, json=body(webhook={"url": receiver.url}))
    assert (answer.status_code, answer.json()["field"]) == (422, "webhook.url")
    for url in ("file:///etc/passwd", "http://user:pw@127.0.0.1/", "http://169.254.169.254/", "gopher://x"):
        assert client.post(JOBS, json=body(webhook={"url": url})).status_code == 422
    assert world.queue.list() == []


def test_a_refused_job_leaves_no_webhook(world: World, client: TestClient, receiver: Receiver) -> None:
    world.forbid_local = False
    bad = body(webhook={"url": receiver.url})
    bad["request"]["sampler_name"] = "nothing"
    assert client.post(JOBS, json=bad).status_code == 422
    assert world.store.read("SELECT * FROM webhooks") == []


@pytest.mark.parametrize(("status", "state"), [(500, "waiting"), (302, "waiting"), (410, "failed")])
def test_what_is_refused_is_tried_again_unless_it_is_gone(
    world: World, client: TestClient, receiver: Receiver, status: int, state: str
) -> None:
    world.forbid_local = False
    receiver.status = status
    id = submit(client, receiver)
    hooks = Webhooks(world.store)
    until(lambda: [each.attempts for each in hooks.list(job_id=id)] == [1])
    (delivery,) = hooks.list(job_id=id)
    assert (delivery.state, delivery.answer) == (state, str(status))
    assert len(receiver.got) == 1


def test_tries_go_on_over_a_restart_with_growing_waits_and_end(world: World, receiver: Receiver) -> None:
    world.webhooks.stop()
    hooks, now = Webhooks(world.store), [time.time()]
    receiver.status = 503
    hooks.register("one", receiver.url, secret=SECRET, types=("done",))
    world.queue.submit("txt2img", body("a cat")["request"] | {"n_iter": 1, "sampler_name": "Euler"}, id="one")
    world.queue.wait("one", 10)

    def fresh() -> Sender:  # what a new process has
        return Sender(Webhooks(world.store), tell=lambda *_: {}, forbid_local=lambda: False, now=lambda: now[0])

    assert fresh().send_due() == 1
    for wait in WAITS:
        now[0] += wait - 1
        assert fresh().send_due() == 0
        now[0] += 2
        assert fresh().send_due() == 1
    now[0] += 10**6
    assert fresh().send_due() == 0
    assert [each.state for each in hooks.list()] == ["failed"]
    assert {headers["x-easel-event"] for headers, _ in receiver.got} == {receiver.got[0][0]["x-easel-event"]}
