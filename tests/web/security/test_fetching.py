"""Pictures by address: off unless asked for; one pinned connection, no redirect, a picture's type, size and time."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from modules.core.errors import BadRequest
from modules.web.security.fetching import Policy, fetch
from tests.web.api.fakes import World


def red() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(target, "PNG")
    return target.getvalue()


class Site(BaseHTTPRequestHandler):
    """A stranger's server."""

    seen: list[tuple[str, dict[str, str]]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        getattr(self, "on_" + self.path.strip("/").partition("?")[0])()

    def answer(self, body: bytes, kind: str = "image/png", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def on_red(self) -> None:
        self.answer(red())

    def on_leads(self) -> None:
        self.answer(b"", status=302, Location="http://169.254.169.254/latest/meta-data")

    def on_page(self) -> None:
        self.answer(b"<html>secret page</html>", "text/html")

    def on_svg(self) -> None:
        self.answer(b"<svg/>", "image/svg+xml")

    def on_gone(self) -> None:
        self.answer(b"secret reason", status=404)

    def on_says_large(self) -> None:
        self.answer(b"x", **{"Content-Length": str(2**40)})

    def on_endless(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            return

    def on_slow(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


LOCAL = Policy(enabled=True, forbid_local=False, agent="Easel")


def test_off_by_default(site: str) -> None:
    with pytest.raises(BadRequest, match="api_enable_requests"):
        fetch(f"{site}/red", Policy(), field="image")


def test_this_machine_is_refused(site: str) -> None:
    before = len(Site.seen)
    with pytest.raises(BadRequest, match="private network"):
        fetch(f"{site}/red", Policy(enabled=True), field="image")
    assert len(Site.seen) == before, "nothing was asked of it"


def test_a_picture(site: str) -> None:
    assert fetch(f"{site}/red?a=1", LOCAL, field="image") == red()
    path, headers = Site.seen[-1]
    assert path == "/red?a=1"
    assert headers["User-Agent"] == "Easel"
    assert headers["Host"] == site.removeprefix("http://")
    assert not {"Cookie", "Authorization"} & set(headers)


def test_the_name_is_asked_for_once_and_its_address_kept(site: str) -> None:
    """DNS rebinding: the second answer would be another machine."""
    asked = []

    def lookup(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(0, 0, 0, "", ("127.0.0.1" if len(asked) == 1 else "192.0.2.1", port))]

    there = site.replace("localhost", "picture.example")
    assert fetch(f"{there}/red", LOCAL, field="image", lookup=lookup) == red()
    assert asked == ["picture.example"]
    assert Site.seen[-1][1]["Host"].startswith("picture.example")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("leads", "leads on"),
        ("page", "no picture"),
        ("svg", "no picture"),
        ("gone", "404"),
        ("says_large", "larger than"),
    ],
)
def test_what_is_refused(site: str, path: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told) as caught:
        fetch(f"{site}/{path}", LOCAL, field="image")
    assert "secret" not in str(caught.value)


def test_the_endless_and_the_slow_are_cut_off(site: str) -> None:
    with pytest.raises(BadRequest, match="larger than"):
        fetch(f"{site}/endless", LOCAL, field="image", most=2**20)
    begun = time.monotonic()
    with pytest.raises(BadRequest):
        fetch(f"{site}/slow", LOCAL, field="image", seconds=0.5)
    assert time.monotonic() - begun < 3


def test_an_agent_cannot_add_headers(site: str) -> None:
    with pytest.raises(BadRequest):
        fetch(f"{site}/red", Policy(enabled=True, forbid_local=False, agent="x\r\nCookie: y"), field="image")


@pytest.mark.parametrize("route", ["png-info", "img2img", "extra-single-image", "interrogate"])
def test_every_route_that_takes_a_picture_asks_the_options(tmp_path: Path, site: str, route: str) -> None:
    body = {"image": f"{site}/red", "init_images": [f"{site}/red"], "width": 64, "height": 64}
    with World(tmp_path) as world:
        client = TestClient(world.app)
        answer = client.post(f"/sdapi/v1/{route}", json=body)
        assert (answer.status_code, "api_enable_requests" in answer.text) == (422, True)
        world.options.set({"api_enable_requests": True})
        assert "private network" in client.post(f"/sdapi/v1/{route}", json=body).text
        world.options.set({"api_forbid_local_requests": False})
        answer = client.post(f"/sdapi/v1/{route}", json=body)
        assert answer.status_code == 200 or "BLIP" in answer.text


def test_a_request_cannot_switch_it_on_for_itself(client: TestClient, site: str) -> None:
    settings = {"api_enable_requests": True, "api_forbid_local_requests": False}
    answer = client.post("/sdapi/v1/img2img", json={"init_images": [f"{site}/red"], "override_settings": settings})
    assert answer.status_code == 422


def test_where_others_reach_the_server_nobody_switches_it_on(exposed: World) -> None:
    client = TestClient(exposed.app)
    for settings in ({"api_enable_requests": True}, {"api_forbid_local_requests": False}):
        answer = client.post("/sdapi/v1/options", json=settings)
        assert answer.status_code == 422
        assert not exposed.options.snapshot()["api_enable_requests"]
        assert exposed.options.snapshot()["api_forbid_local_requests"]


def test_base64_is_never_taken_for_an_address(client: TestClient) -> None:
    text = base64.b64encode(red()).decode()
    assert client.post("/sdapi/v1/png-info", json={"image": f"data:image/png;base64,{text}"}).status_code == 200
