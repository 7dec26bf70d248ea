"""By which names the server answers (DNS rebinding), and which pages may make it act (CSRF, WebSockets, CORS)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from modules.settings.flags import parse
from modules.web.security.hosts import Hosts
from tests.web.api.fakes import World

EVIL = "https://evil.example"
PATH = "/sdapi/v1/options"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:7860",
        "localhost:7860",
        "[::1]:7860",
        "192.168.1.5:7860",
        "workstation:7860",
        "pc.local",
        "a.lan",
        "LOCALHOST.",
    ],
)
def test_names_of_this_machine_and_its_network(client: TestClient, host: str) -> None:
    assert client.get(PATH, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "a@b",
        "x y",
        "a.lan.evil.com",
        "[::1",
    ],
)
def test_a_name_of_somebody_elses_is_not_answered(client: TestClient, host: str) -> None:
    for path in (PATH, "/internal/ping", "/nothing"):
        assert client.get(path, headers={"host": host}).status_code == 403


def test_names_that_a_flag_tells(tmp_path: Path) -> None:
    client = TestClient(World(tmp_path, "--allowed-hosts", "easel.example, .ours.example").app)
    for host, status in (("easel.example", 200), ("a.ours.example", 200), ("other.example", 403)):
        assert client.get(PATH, headers={"host": host}).status_code == status


def test_behind_a_login_any_name_will_do(tmp_path: Path) -> None:
    """A browser sends the login of another name to nobody, so that rebinding gains nothing."""
    client = TestClient(World(tmp_path, "--api-auth", "me:x").app)
    assert client.get(PATH, headers={"host": "easel.example"}, auth=("me", "x")).status_code == 200


def test_with_share_gradios_names(tmp_path: Path) -> None:
    client = TestClient(World(tmp_path, "--share").app)
    assert client.get(PATH, headers={"host": "abc.gradio.live"}).status_code == 200
    assert client.get(PATH, headers={"host": "gradio.live.evil.example"}).status_code == 403


class TestPagesOfOthers:
    @pytest.mark.parametrize(
        "origin", [EVIL, "null", "http://testserver:81", "https://testserver.evil.example", "http://"]
    )
    def test_change_nothing(self, world: World, client: TestClient, origin: str) -> None:
        answer = client.post(PATH, json={"jpeg_quality": 1}, headers={"origin": origin})
        assert answer.status_code == 403
        assert world.options.snapshot()["jpeg_quality"] != 1
        assert client.post("/sdapi/v1/interrupt", headers={"origin": origin}).status_code == 403

    def test_also_where_they_send_no_origin(self, client: TestClient) -> None:
        assert client.post(PATH, json={}, headers={"sec-fetch-site": "cross-site"}).status_code == 403

    def test_open_no_socket(self, world: World, client: TestClient) -> None:
        @world.app.websocket("/socket")
        async def socket(line: WebSocket) -> None:
            await line.accept()
            await line.send_text("hello")

        with client.websocket_connect("/socket", headers={"origin": "http://testserver"}) as line:
            assert line.receive_text() == "hello"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers={"origin": EVIL}):
            pass

    @pytest.mark.parametrize("path", [PATH, "/sdapi/v1/txt2img", "/internal/progress"])
    def test_are_given_no_permission_and_read_nothing(self, client: TestClient, path: str) -> None:
        headers = {"origin": EVIL, "access-control-request-method": "POST"}
        for answer in (client.options(path, headers=headers), client.get(path, headers={"origin": EVIL})):
            assert not [name for name in answer.headers if name.startswith("access-control-")]

    def test_permissions_of_the_program_inside_are_taken_back(self, world: World, client: TestClient) -> None:
        """Gradio's own middleware would give some."""

        @world.app.middleware("http")
        async def generous(request: Any, call_next: Any) -> Any:
            answer = await call_next(request)
            answer.headers["Access-Control-Allow-Origin"] = request.headers.get("origin", "*")
            return answer

        world.app.user_middleware.append(world.app.user_middleware.pop(0))  # inside the gate, as a mounted program's is
        assert "access-control-allow-origin" not in client.get(PATH, headers={"origin": EVIL}).headers


class TestOwnPages:
    @pytest.mark.parametrize(
        ("host", "origin"),
        [
            ("testserver", "http://testserver"),
            ("127.0.0.1:7860", "http://127.0.0.1:7860"),
            ("localhost:443", "https://localhost"),
            ("localhost", "https://localhost"),
            ("[::1]:7860", "http://[::1]:7860"),
        ],
    )
    def test_act(self, client: TestClient, host: str, origin: str) -> None:
        assert client.post(PATH, json={}, headers={"host": host, "origin": origin}).status_code == 200

    def test_through_a_proxy_that_hides_the_name(self, client: TestClient) -> None:
        headers = {"host": "127.0.0.1:7860", "x-forwarded-host": "easel.example", "origin": "https://easel.example"}
        assert client.post(PATH, json={}, headers=headers).status_code == 200

    def test_programs_that_are_no_browsers(self, client: TestClient) -> None:
        assert client.post(PATH, json={}).status_code == 200
        assert client.post(PATH, json={}, headers={"origin": "chrome-extension://abc"}).status_code == 200


class TestPagesThatAFlagNames:
    FLAGS = ("--cors-allow-origins", "https://a.example", "--cors-allow-origins-regex", r"https://.*\.b\.example")

    @pytest.mark.parametrize(
        ("origin", "may"), [("https://a.example", True), ("https://x.b.example", True), (EVIL, False)]
    )
    def test_and_no_others(self, tmp_path: Path, origin: str, may: bool) -> None:
        client = TestClient(World(tmp_path, *self.FLAGS).app)
        answer = client.post(PATH, json={}, headers={"origin": origin})
        assert answer.status_code == (200 if may else 403)
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed == (origin if may else None)

    def test_a_star_lets_all(self) -> None:
        assert Hosts.of(parse(["--cors-allow-origins", "*"])).may_act("POST", {"origin": EVIL, "host": "x"}, "http")
