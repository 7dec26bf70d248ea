"""/easel/v1/extensions: acts are jobs of the manager, and a server that others reach refuses them with the reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from modules.core.errors import BadRequest
from modules.plugins.extension import Extension
from modules.web.api import errors
from modules.web.api.easel import extensions
from tests.web.api.fakes import World


class Manager:
    """Writes down what it is asked to do."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def allow(self) -> None:
        pass

    def submit(self, act: str, values: dict[str, Any], *, id: str | None = None, owner: str = "") -> str:
        if values.get("url", "").startswith("-"):
            raise BadRequest("no address", field="url")
        self.asked.append((act, values))
        return f"job-{len(self.asked)}"

    def available(self, where: str) -> dict[str, Any]:
        return {"extensions": [{"url": where}], "tags": {}}

    def states(self) -> list[dict[str, Any]]:
        return [{"number": 1}]

    def trash(self) -> list[str]:
        return ["glow~20260101-000000-ab"]


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def calling(idle: World, manager: Manager, tmp_path: Path) -> Iterator[TestClient]:
    found = [Extension(name="glow", folder=tmp_path).failed("It broke.", "Traceback …")]
    services = dataclasses.replace(
        idle.services,
        installing=manager,
        extensions=lambda: found,
        manage_extension=lambda act, name: [f"{act} {name}"],
    )
    app = FastAPI()
    errors.install(app)
    app.include_router(extensions.routes(services))
    with TestClient(app) as client:
        yield client


def test_what_there_is(calling: TestClient) -> None:
    (item,) = calling.get("/extensions").json()
    assert (item["name"], item["state"], item["error"], item["traceback"]) == (
        "glow",
        "failed",
        "It broke.",
        "Traceback …",
    )
    assert calling.get("/extensions/states").json() == [{"number": 1}]
    assert calling.get("/extensions/trash").json() == ["glow~20260101-000000-ab"]
    assert calling.get("/extensions/available", params={"url": "/list"}).json()["extensions"] == [{"url": "/list"}]


def test_acts_are_jobs(calling: TestClient, manager: Manager) -> None:
    url = "https://example.org/glow"
    answers = [
        calling.post("/extensions/install", json={"url": url, "branch": "next"}),
        calling.post("/extensions/check", json={}),
        calling.post("/extensions/update", json={"names": ["glow"]}),
        calling.post("/extensions/states/3/roll-back"),
        calling.delete("/extensions/glow"),
        calling.post("/extensions/glow/restore"),
    ]
    assert [answer.json() for answer in answers] == [{"id": f"job-{number}"} for number in range(1, 7)]
    assert [act for act, _ in manager.asked] == ["install", "check", "update", "roll-back", "uninstall", "restore"]
    assert manager.asked[0][1]["branch"] == "next"
    assert manager.asked[3][1] == {"number": 3}
    assert calling.post("/extensions/glow/disable").json()["words"] == ["disable glow"]


def test_what_cannot_be(calling: TestClient) -> None:
    assert calling.post("/extensions/install", json={"url": "--upload-pack=x"}).status_code == 422
    assert calling.post("/extensions/install", json={}).status_code == 422
    assert calling.post("/extensions/glow/explode").status_code == 422
    assert calling.post("/extensions/none/enable").status_code == 404


def test_where_nobody_may_install_it_is_403(asking: TestClient) -> None:
    for answer in (
        asking.post("/easel/v1/extensions/install", json={"url": "https://example.org/glow"}),
        asking.delete("/easel/v1/extensions/glow"),
        asking.post("/easel/v1/extensions/glow/enable"),
        asking.get("/easel/v1/extensions/available"),
    ):
        assert answer.status_code == 403
        assert "installs no extensions" in answer.json()["detail"]
