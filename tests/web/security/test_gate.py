"""Everything that the running server serves is behind the gate: routes, page, files, sockets; also what comes later."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from modules.settings.flags import parse
from modules.web.security import logins
from modules.web.security.gate import API, NEVER, OPEN, Gate
from modules.web.security.throttle import Throttle
from tests.web.api.fakes import World

LOGINS = ("--api-auth", "bot:open sesame", "--gradio-auth", "ada:pässword")
ANYBODY = (*OPEN, "/logout")
"""The login form, which needs no other file; whether the program lives; the way out of a session."""


def basic(login: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def walked(routes: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every route with its whole path: those of mounted programs, and of routers in routers, too."""
    for route in routes:
        if isinstance(route, Mount):
            yield prefix + route.path, route
            yield from walked(route.routes, prefix + route.path)
        elif hasattr(route, "effective_candidates"):  # how FastAPI keeps an included router
            yield from walked(route.effective_candidates(), prefix)
        else:
            yield prefix + route.path, getattr(route, "original_route", route)


def filled(path: str) -> str:
    """A path without its parameters' names."""
    return re.sub(r"\{[^}]+\}", "1", path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The application as the composition root builds it, page and all, with both logins."""
    from modules.app import App

    folder = tmp_path_factory.mktemp("whole")
    return App(parse(["--api", "--data-dir", str(folder), *LOGINS])).asgi


@pytest.fixture(scope="module")
def served(whole: FastAPI) -> list[tuple[str, Any]]:
    """(path, route) of everything there is, Gradio's own among it."""
    found = list(walked(whole.routes))
    paths = {path for path, _ in found}
    assert len(paths) > 100
    assert {"/sdapi/v1/txt2img", "/internal/ping", "/sd_extra_networks/thumb", "/docs", "/openapi.json"} <= paths
    assert {"/gradio_api/queue/join", "/gradio_api/upload", "/assets/{path:path}", "/config"} <= paths
    return found


def test_every_route_socket_and_file_of_the_program_asks(whole: FastAPI, served: list[tuple[str, Any]]) -> None:
    client = TestClient(whole, raise_server_exceptions=False)
    for path, route in served:
        where = filled(path) or "/"
        if where in ANYBODY:
            continue
        if isinstance(route, WebSocketRoute):
            with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect(where):
                pass
            assert closed.value.code == 1008
            continue
        for method in getattr(route, "methods", None) or ("GET",):
            answer = client.request(method, where, follow_redirects=False)
            told = 404 if where.startswith(NEVER) else 401  # what nobody may have, logged in or not
            assert answer.status_code == told, f"{method} {where} answers {answer.status_code} without a login"
            assert answer.headers["x-request-id"]


class Reached:
    """A program behind the gate that says who came through."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4000})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("flags", "open_to_all"),
    [
        (LOGINS, ()),
        (("--gradio-auth", "ada:x"), ()),
        (("--nowebui", "--api-auth", "bot:x"), ("/logout",)),  # no session, so nothing to end
        (("--api-auth", "bot:x"), None),  # the page and what serves it stay open, as in A1111
    ],
)
def test_whatever_logins_are_given_only_a_short_list_is_open(
    served: list[tuple[str, Any]], flags: tuple[str, ...], open_to_all: tuple[str, ...] | None
) -> None:
    inside = Reached()
    client = TestClient(Gate(inside, parse(["--api", *flags])))
    for path, route in served:
        where = filled(path) or "/"
        if isinstance(route, WebSocketRoute):
            with pytest.raises(WebSocketDisconnect), client.websocket_connect(where):
                pass
            continue
        for method in getattr(route, "methods", None) or ("GET",):
            client.request(method, where, follow_redirects=False)
            client.request(method, where, follow_redirects=False, headers={"accept": "text/html"})
    passed = set(inside.paths)
    if open_to_all is None:
        assert not {path for path in passed if path.startswith(API)}
    else:
        assert passed <= {*OPEN, *open_to_all}


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=/etc/passwd", "/file=/etc/passwd", "/assets/x.js", "/nothing/here", "//sdapi/v1/txt2img"]
)
def test_paths_that_are_no_routes_ask_too(whole: FastAPI, path: str) -> None:
    assert TestClient(whole).get(path, follow_redirects=False).status_code == 401


def test_a_route_that_is_added_later_asks(tmp_path: Path) -> None:
    world = World(tmp_path, *LOGINS)

    @world.app.get("/added/later")
    def added() -> str:
        return "secret"

    assert TestClient(world.app).get("/added/later").status_code == 401
    assert TestClient(world.app).get("/added/later", headers=basic("ada:pässword")).json() == "secret"


def test_with_the_right_login_each_is_served(whole: FastAPI) -> None:
    client = TestClient(whole)
    assert client.get("/sdapi/v1/samplers", headers=basic("bot:open sesame")).status_code == 200
    assert client.get("/sdapi/v1/samplers", headers=basic("ada:pässword")).status_code == 401, "another login's door"
    assert client.get("/internal/ping", headers=basic("ada:pässword")).status_code == 200
    assert client.get("/openapi.json", headers=basic("bot:open sesame")).status_code == 200


class TestBodiesWithoutAType:
    """A1111's clients send JSON and do not always say so; pages of others may not hide behind that."""

    URL = "/sdapi/v1/options"

    def sent(self, whole: FastAPI, quality: int, **headers: str) -> int:
        given = {**basic("bot:open sesame"), **{name.replace("_", "-"): value for name, value in headers.items()}}
        content = json.dumps({"jpeg_quality": quality}).encode()
        return TestClient(whole).post(self.URL, content=content, headers=given).status_code

    def kept(self, whole: FastAPI) -> int:
        return int(TestClient(whole).get(self.URL, headers=basic("bot:open sesame")).json()["jpeg_quality"])

    def test_are_read_as_json(self, whole: FastAPI) -> None:
        assert self.sent(whole, 71) == 200
        assert self.kept(whole) == 71
        assert self.sent(whole, 72, origin="http://testserver") == 200
        assert self.kept(whole) == 72

    @pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    @pytest.mark.parametrize("sender", [{"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}])
    def test_open_no_door_to_pages_of_others(self, whole: FastAPI, kind: str, sender: dict[str, str]) -> None:
        """What a browser sends for a strange page without asking first."""
        before = self.kept(whole)
        assert self.sent(whole, 13, **sender, **({"content_type": kind} if kind else {})) == 403
        assert self.kept(whole) == before

    def test_of_another_type_are_refused_whoever_sends_them(self, whole: FastAPI) -> None:
        before = self.kept(whole)
        assert self.sent(whole, 13, content_type="text/plain") == 422
        assert self.kept(whole) == before


class TestThePagesLogin:
    def test_the_page_leads_to_it(self, whole: FastAPI) -> None:
        client = TestClient(whole, headers={"accept": "text/html"})
        answer = client.get("/", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert 'name="password"' in client.get("/login").text

    @pytest.mark.parametrize("form", [{"data": {}}, {"files": {"x": b""}}])
    def test_logging_in_opens_the_page_and_logging_out_closes_it(self, whole: FastAPI, form: dict[str, Any]) -> None:
        """urlencoded as browsers and gradio_client send it, and multipart as Gradio's page does."""
        client = TestClient(whole)
        given = {"username": "ada", "password": "pässword"}
        sent = {"data": given} if "data" in form else {"files": {name: (None, value) for name, value in given.items()}}
        answer = client.post("/login", **sent)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        kept = answer.headers["set-cookie"]
        assert "HttpOnly" in kept
        assert "SameSite=Lax" in kept
        assert client.get("/config").status_code == 200
        assert client.get("/sdapi/v1/samplers").status_code == 401, "the API has a login of its own"
        client.get("/logout")
        assert client.get("/config").status_code == 401

    def test_over_https_the_cookie_stays_there(self, whole: FastAPI) -> None:
        client = TestClient(whole, base_url="https://testserver")
        assert "Secure" in client.post("/login", data={"username": "ada", "password": "pässword"}).headers["set-cookie"]

    def test_made_up_sessions_are_none(self, whole: FastAPI) -> None:
        for secret in ("", "x", "ada", "\xff"):
            cookie = f"easel-session={secret}".encode("latin-1")
            assert TestClient(whole).get("/config", headers={b"cookie": cookie}).status_code == 401

    def test_a_wrong_one_shows_the_form_again_and_nothing_that_was_typed(self, whole: FastAPI) -> None:
        client = TestClient(whole, headers={"accept": "text/html"})
        answer = client.post("/login", data={"username": "<script>x", "password": "no"})
        assert answer.status_code == 401
        assert 'name="password"' in answer.text
        assert "<script>" not in answer.text


def test_only_the_pages_login_guards_the_api_too(tmp_path: Path) -> None:
    client = TestClient(World(tmp_path, "--gradio-auth", "ada:x").app)
    assert client.get("/sdapi/v1/samplers").status_code == 401
    assert client.get("/sdapi/v1/samplers", headers=basic("ada:x")).status_code == 200
    client.post("/login", data={"username": "ada", "password": "x"})
    assert client.get("/sdapi/v1/samplers").status_code == 200


def test_logins_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "logins.txt"
    file.write_text("ada:x\nbob:y\n", encoding="utf-8")
    client = TestClient(World(tmp_path, "--gradio-auth-path", str(file)).app)
    assert [
        client.get("/internal/ping", headers=basic(login)).status_code for login in ("ada:x", "bob:y", "bob:x")
    ] == [200, 200, 401]


def test_without_a_page_the_apis_login_guards_everything(tmp_path: Path) -> None:
    client = TestClient(World(tmp_path, "--nowebui", "--api-auth", "bot:x", api_flag=False).app)
    assert client.get("/internal/ping").status_code == 401
    assert client.get("/internal/ping", headers=basic("bot:x")).status_code == 200


class TestGuessing:
    """The sixth wrong password and all after it must wait; a right one does not get through meanwhile."""

    def test_by_basic(self, tmp_path: Path) -> None:
        world = World(tmp_path, "--api-auth", "me:right")
        client = TestClient(world.app)
        codes = [client.get("/sdapi/v1/samplers", headers=basic(f"me:{number}")).status_code for number in range(7)]
        assert codes == [401] * 5 + [429] * 2
        answer = client.get("/sdapi/v1/samplers", headers=basic("me:right"))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1

    def test_by_the_form(self, tmp_path: Path) -> None:
        client = TestClient(World(tmp_path, "--gradio-auth", "me:right").app)
        codes = [
            client.post("/login", data={"username": "me", "password": str(number)}).status_code for number in range(7)
        ]
        assert codes == [401] * 5 + [429] * 2

    def test_others_are_not_held_up(self, tmp_path: Path) -> None:
        client = TestClient(World(tmp_path, "--api-auth", "me:right,you:also").app)
        for number in range(8):
            client.get("/sdapi/v1/samplers", headers=basic(f"me:{number}"))
        assert client.get("/sdapi/v1/samplers", headers=basic("you:also")).status_code == 200

    def test_waiting_helps(self) -> None:
        now = 0.0
        throttle = Throttle(clock=lambda: now)
        for number in range(8):
            throttle.failed("me")
            assert throttle.wait("me") == (0 if number < 4 else 2.0 ** (number - 4))
        now = 8.0
        assert throttle.wait("me") == 0
        throttle.passed("me")
        throttle.failed("me")
        assert throttle.wait("me") == 0
        for _ in range(40):
            throttle.failed("me")
        assert throttle.wait("me") == 300
        now += 1000
        assert throttle.wait("me") == 0


class Watched(str):
    """A password or name that knows how often it was looked at."""

    looked = 0

    def encode(self, *given: Any, **named: Any) -> bytes:
        self.looked += 1
        return super().encode(*given, **named)

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise AssertionError("== tells by its time how much of a password is right")


@pytest.mark.parametrize("given", [b"ada:x", b"ada:", b"bob:y", b"nobody:x", b":", b"ada:" + b"x" * 10_000])
def test_every_guess_is_compared_with_all_logins_in_full(given: bytes) -> None:
    """Whoever it is and whatever is wrong: the same comparisons, of digests of one length."""
    users = [(Watched(name), Watched(password)) for name, password in (("ada", "x"), ("bob", "y"), ("eve", "z"))]
    name, _, password = given.partition(b":")
    who = logins.who(name, password, users)
    assert (who is not None) == (given in (b"ada:x", b"bob:y"))
    assert {each.looked for user in users for each in user} == {1}


class TestWhatIsSent:
    """Bodies are counted, not believed."""

    def ask(self, chunks: list[bytes], headers: list[tuple[bytes, bytes]], limit: int = 0) -> tuple[int, int]:
        """(status, bytes that were taken) of a POST to a program that reads all it is given."""
        taken = 0

        async def program(scope: Any, receive: Any, send: Any) -> None:
            nonlocal taken
            more = True
            while more:
                message = await receive()
                taken += len(message["body"])
                more = message["more_body"]
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        scope = {"type": "http", "method": "POST", "path": "/sdapi/v1/txt2img", "headers": headers, "client": ("1", 1)}
        messages = iter([{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks])
        end = {"type": "http.request", "body": b"", "more_body": False}
        answers: list[Any] = []

        async def receive() -> Any:
            return next(messages, end)

        async def send(message: Any) -> None:
            answers.append(message)

        asyncio.run(Gate(program, parse([]))(scope, receive, send))
        return answers[0]["status"], taken

    def test_a_gigabyte_that_says_so_is_not_read(self) -> None:
        assert self.ask([b"x"], [(b"content-length", b"1073741824")]) == (413, 0)

    def test_a_gigabyte_that_does_not_say_so_is_stopped(self) -> None:
        piece = b" " * 2**24
        status, taken = self.ask([piece] * 64, [(b"transfer-encoding", b"chunked")])
        assert status == 413
        assert taken <= 2**28

    def test_a_large_picture_passes(self) -> None:
        assert self.ask([b"x" * 2**20] * 32, []) == (200, 2**25)

    @pytest.mark.parametrize("length", [b"-1", b"x", b"1e12", b""])
    def test_lengths_that_are_none_are_counted(self, length: bytes) -> None:
        assert self.ask([b"x"], [(b"content-length", length)]) == (200, 1)
