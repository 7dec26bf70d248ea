"""Files are served from the program's own folders only, never by a redirect, and never so that a browser runs them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.testclient import TestClient

from modules.settings.flags import parse
from modules.web import security


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def page(folder: Path) -> TestClient:
    """The whole program with its page."""
    from modules.app import App

    return TestClient(App(parse(["--api", "--data-dir", str(folder)])).asgi, raise_server_exceptions=False)


@pytest.mark.parametrize("route", ["/gradio_api/file=", "/file="])
class TestTheFileRoute:
    @pytest.mark.parametrize(
        "name",
        [
            "/etc/passwd",
            "config.json",
            "easel.sqlite",
            "models/x.safetensors",
            "outputs/../config.json",
            "outputs/link",
            "../x",
            "//etc/passwd",
        ],
    )
    def test_nothing_outside_the_outputs(self, page: TestClient, folder: Path, route: str, name: str) -> None:
        (folder / "config.json").write_text("{}", encoding="utf-8")
        link = folder / "outputs" / "link"
        if not link.is_symlink():
            link.symlink_to("/etc/passwd")
        for path in (name, str(folder / name)):
            answer = page.get(route + quote(path), follow_redirects=False)
            assert answer.status_code in (403, 404), path
            assert "root:x:" not in answer.text

    @pytest.mark.parametrize(
        "where", ["http://example.org/x.png", "https://127.0.0.1/", "//example.org/x", "HTTP://example.org/"]
    )
    def test_it_leads_nowhere(self, page: TestClient, route: str, where: str) -> None:
        answer = page.get(route + where, follow_redirects=False)
        assert answer.status_code in (403, 404)
        assert "location" not in answer.headers

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
            ("a.html", "<script>alert(1)</script>"),
            ("a.xml", "<x/>"),
        ],
    )
    def test_what_browsers_run_is_a_download(
        self, page: TestClient, folder: Path, route: str, name: str, content: str
    ) -> None:
        file = folder / "outputs" / name
        file.write_text(content, encoding="utf-8")
        answer = page.get(route + quote(str(file)))
        assert answer.status_code in (200, 404)
        if answer.status_code == 200:
            assert answer.headers["content-disposition"].startswith("attachment")
            assert "sandbox" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"

    def test_pictures_are_shown(self, page: TestClient, folder: Path, route: str) -> None:
        file = folder / "outputs" / "a.png"
        file.write_bytes(b"\x89PNG\r\n\x1a\n")
        if route == "/gradio_api/file=":
            answer = page.get(route + quote(str(file)))
            assert answer.status_code == 200
            assert "attachment" not in answer.headers.get("content-disposition", "")


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/proxy=http://example.org/", "/proxy=http://example.org", "/monitoring", "/gradio_api/dev/reload"],
)
def test_gradios_ways_elsewhere_are_closed(page: TestClient, path: str) -> None:
    assert page.get(path, follow_redirects=False).status_code == 404


@pytest.mark.parametrize("path", ["/", "/internal/ping", "/sdapi/v1/samplers", "/nothing", "/docs", "/theme.css"])
def test_every_answer_forbids_guessing_types_and_foreign_frames(page: TestClient, path: str) -> None:
    answer = page.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_a_page_of_somebodys_below_a_file_route_is_disarmed_whatever_it_says() -> None:
    app = FastAPI()
    security.install(app, parse([]))

    @app.get("/easel/v1/made")
    def made(kind: str) -> Response:
        html = HTMLResponse("<script>alert(1)</script>", headers={"content-disposition": "inline"})
        svg = Response("<svg/>", media_type="image/svg+xml")
        return {"html": html, "svg": svg}.get(kind) or PlainTextResponse("x")

    client = TestClient(app)
    for kind in ("html", "svg"):
        answer = client.get("/easel/v1/made", params={"kind": kind})
        assert answer.headers.get_list("content-disposition") == ["attachment"]
        assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "content-disposition" not in client.get("/easel/v1/made", params={"kind": "text"}).headers
