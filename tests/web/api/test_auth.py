"""--api-auth guards every /sdapi route; CORS follows the flags."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import World

USERS = "me:open:sesame,bob:pässword"


@pytest.fixture
def guarded(tmp_path: Path) -> World:
    return World(tmp_path, "--api-auth", USERS)


def header(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_every_route_asks(guarded: World) -> None:
    client = TestClient(guarded.app)
    routes = [(path, method) for path, item in guarded.app.openapi()["paths"].items() for method in item]
    sdapi = [(path, method) for path, method in routes if path.startswith("/sdapi")]
    assert len(sdapi) >= 29
    for path, method in sdapi:
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Basic"), path
    assert client.get("/internal/ping").status_code == 200


@pytest.mark.parametrize("right", ["me:open:sesame", "bob:pässword"])
def test_the_right_ones_pass(guarded: World, right: str) -> None:
    assert TestClient(guarded.app).get("/sdapi/v1/samplers", headers=header(right)).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        header("me:open"),
        header("me:pässword"),
        header("bob:open:sesame"),
        header("me"),
        header(":"),
        header(""),
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Bearer abc"},
        {},
    ],
)
def test_all_others_do_not(guarded: World, wrong: dict[str, str]) -> None:
    answer = TestClient(guarded.app).get("/sdapi/v1/samplers", headers=wrong)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "detail", "body", "errors", "request_id"}


def test_a_job_belongs_to_who_asked_for_it(guarded: World) -> None:
    with guarded, TestClient(guarded.app) as client:
        body = {"prompt": "x", "force_task_id": "mine", "width": 64, "height": 64}
        assert client.post("/sdapi/v1/txt2img", json=body, headers=header("bob:pässword")).status_code == 200
        assert guarded.queue.get("mine").owner == "bob"


class TestOrigins:
    ASK = {"access-control-request-method": "POST"}  # noqa: RUF012

    def allowed(self, world: World, origin: str) -> str | None:
        answer = TestClient(world.app).options("/sdapi/v1/txt2img", headers={"origin": origin, **self.ASK})
        return answer.headers.get("access-control-allow-origin")

    def test_none_may_call_by_default(self, world: World) -> None:
        assert self.allowed(world, "https://a.example") is None

    def test_those_of_the_list(self, tmp_path: Path) -> None:
        world = World(tmp_path, "--cors-allow-origins", "https://a.example, https://b.example")
        assert self.allowed(world, "https://b.example") == "https://b.example"
        assert self.allowed(world, "https://c.example") is None

    def test_those_of_the_expression(self, tmp_path: Path) -> None:
        world = World(tmp_path, "--cors-allow-origins-regex", r"https://.*\.example")
        assert self.allowed(world, "https://any.example") == "https://any.example"
        assert self.allowed(world, "https://example.org") is None
