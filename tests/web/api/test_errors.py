"""Failures have one shape, the right status, and never break the answer itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from modules.web.api.errors import Failure, HTTPValidationError
from tests.web.api.fakes import World
from tests.web.api.test_generation import until


def test_a_thing_named_by_the_address_is_404(asking: TestClient) -> None:
    answer = asking.get("/missing")
    assert answer.status_code == 404
    told = answer.json()
    assert told.pop("request_id") == answer.headers["x-request-id"]
    assert told == {
        "error": "NotFound",
        "detail": 'Picture "7" not found.',
        "body": "",
        "errors": 'Picture "7" not found.',
        "field": "",
    }


def test_other_failures_on_purpose_are_500_with_their_message(asking: TestClient) -> None:
    answer = asking.get("/broken")
    assert (answer.status_code, answer.json()["detail"]) == (500, "The disk is full.")


def test_a_bug_is_500_with_its_kind_even_when_its_text_cannot_be_encoded(asking: TestClient) -> None:
    answer = asking.get("/bug")
    assert (answer.status_code, answer.json()["error"]) == (500, "ZeroDivisionError")
    assert "division by \ud800" in answer.json()["detail"]


def test_both_shapes_are_in_the_openapi_of_every_route(idle: World, asking: TestClient) -> None:
    paths = idle.app.openapi()["paths"]
    told = [answers["responses"] for methods in paths.values() for answers in methods.values()]
    assert len(told) > 80
    shapes = [{"$ref": f"#/components/schemas/{each}"} for each in ("HTTPValidationError", "Failure")]
    for answers in told:
        assert {"422", "4XX", "5XX"} <= set(answers)
    schema = paths["/sdapi/v1/txt2img"]["post"]["responses"]["422"]["content"]["application/json"]["schema"]
    assert schema["anyOf"] == shapes
    named = asking.post("/sdapi/v1/txt2img", json={"sampler_name": "no such"})
    HTTPValidationError.model_validate_json(asking.post("/sdapi/v1/txt2img", json={"steps": 0}).content, strict=True)
    assert Failure.model_validate_json(named.content, strict=True).request_id == named.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "right"), [("/sdapi/v1/txt2img", "POST"), ("/healthz", "GET"), ("/easel/v1/jobs/7", "GET")]
)
def test_a_wrong_method_is_405_in_front_of_a_page_that_takes_all_else(world: World, path: str, right: str) -> None:
    world.app.mount("/", Starlette(routes=[Route("/{rest:path}", lambda request: PlainTextResponse("the page"))]))
    world.app.router.routes.insert(-1, Route("/sdapi/v1/skip", lambda request: PlainTextResponse("late")))
    client = TestClient(world.app)
    wrong = client.put(path)
    assert (wrong.status_code, right in wrong.headers["allow"]) == (405, True)
    assert client.get("/sdapi/v1/skip").text == "late"
    assert client.get("/sdapi/v1/none").text == client.get("/").text == "the page"


def test_whose_job_was_cancelled_is_told_so(world: World, client: TestClient) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/sdapi/v1/txt2img", json={"prompt": "wait"})
        assert world.painter.started.wait(60)
        second = pool.submit(client.post, "/sdapi/v1/unload-checkpoint")
        until(lambda: world.queue.waiting(), timeout=60)
        world.queue.cancel(world.queue.waiting()[0])
        answer = second.result(60)
        world.painter.gate.set()
        assert first.result(60).status_code == 200
    assert (answer.status_code, answer.json()["error"]) == (409, "Cancelled")


def test_an_unknown_route_and_method_keep_their_status(asking: TestClient) -> None:
    answer = asking.get("/sdapi/v1/no-such")
    assert (answer.status_code, answer.json()["detail"]) == (404, "Not Found")
    wrong = asking.get("/sdapi/v1/txt2img")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
