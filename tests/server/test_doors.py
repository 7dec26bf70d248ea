"""Who gets in: the address that is listened on, logins, and which routes there are with which flags."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.server.running import ROOT, SMALL, Server, command, environment

ROUTES = ("progress", "options", "samplers", "schedulers", "sd-models", "cmd-flags", "memory")
LOGIN = ("ann", "secret:with:colons")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """--nowebui and two logins."""
    logins = ":".join(LOGIN) + ",bob:other"
    with Server(tmp_path_factory.mktemp("guarded"), "--nowebui", "--api-auth", logins, auth=LOGIN) as server:
        yield server


@pytest.fixture(scope="module")
def page_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """No --api."""
    with Server(tmp_path_factory.mktemp("page")) as server:
        yield server


def anonymous(server: Server, auth: tuple[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=f"{server.client.base_url}", auth=auth, trust_env=False)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_answers(server: Server, route: str) -> None:
    assert server.client.get(f"/sdapi/v1/{route}").status_code == 200


def test_only_this_machine_can_reach_it(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    family = [process, *process.children(recursive=True)]
    sockets = [each for member in family for each in member.net_connections("inet")]
    listening = {tuple(each.laddr) for each in sockets if each.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", server.port)}
    assert not [each for each in sockets if each.raddr and each.raddr.ip != "127.0.0.1"]


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_login_nothing_is_served(guarded: Server, route: str) -> None:
    with anonymous(guarded) as stranger:
        answer = stranger.get(f"/sdapi/v1/{route}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


# no more than the five that may be wrong before the server makes a stranger wait
@pytest.mark.parametrize("auth", [("ann", "wrong"), ("nobody", LOGIN[1]), ("", ""), ("bob", LOGIN[1])])
def test_with_a_wrong_login_nothing_is_served(guarded: Server, auth: tuple[str, str]) -> None:
    with anonymous(guarded, auth) as stranger:
        assert stranger.get("/sdapi/v1/samplers").status_code == 401


def test_without_a_login_nothing_can_be_done(guarded: Server) -> None:
    before = guarded.get("options")
    with anonymous(guarded) as stranger:
        for route, body in (("txt2img", SMALL), ("options", {"jpeg_quality": 5}), ("interrupt", {}), ("skip", {})):
            assert stranger.post(f"/sdapi/v1/{route}", json=dict(body)).status_code == 401
    assert guarded.get("options") == before


@pytest.mark.parametrize("auth", [LOGIN, ("bob", "other")])
def test_with_a_login_the_api_is_served(guarded: Server, auth: tuple[str, str]) -> None:
    with anonymous(guarded, auth) as known:
        assert known.get("/sdapi/v1/samplers").status_code == 200


def test_logins_are_told_to_nobody(guarded: Server) -> None:
    assert LOGIN[1] not in guarded.client.get("/sdapi/v1/cmd-flags").text
    assert LOGIN[1] not in guarded.console


def test_nowebui_has_no_page(server: Server, guarded: Server) -> None:
    assert "text/html" in server.client.get("/").headers["content-type"]
    assert guarded.client.get("/").status_code == 404


@pytest.mark.parametrize("route", [*ROUTES, "txt2img"])
def test_without_the_flag_there_is_no_api(page_only: Server, route: str) -> None:
    assert page_only.client.get("/").status_code == 200
    assert page_only.client.get(f"/sdapi/v1/{route}").status_code == 404
    assert page_only.client.post(f"/sdapi/v1/{route}", json={}).status_code in (404, 405)


def test_a_port_in_use_is_said(server: Server, tmp_path: Path) -> None:
    again = command(tmp_path, server.port, "--nowebui")
    ended = subprocess.run(again, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"127.0.0.1 port {server.port}: it is in use" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert server.client.get("/internal/ping").status_code == 200


def test_a_mistyped_flag_is_said(tmp_path: Path) -> None:
    words = command(tmp_path, 7999, "--no-webui")
    ended = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "--nowebui" in ended.stderr
