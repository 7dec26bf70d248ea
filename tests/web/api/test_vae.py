"""Separate VAE files over the API, in A1111's shape; choosing one is checked."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import World


def test_the_list(world: World, client: TestClient) -> None:
    assert client.get("/sdapi/v1/sd-vae").json() == [
        {"model_name": entry.name, "filename": str(entry.path)} for entry in world.library.vaes.entries
    ]


def test_refresh_looks_again(world: World, client: TestClient) -> None:
    answer = client.post("/sdapi/v1/refresh-vae")
    assert (answer.status_code, answer.json(), world.library.vaes.refreshed) == (200, None, 1)


@pytest.mark.parametrize(
    ("name", "kept"), [("b.vae.pt", "b.vae.pt"), ("b.vae", "b.vae.pt"), ("None", "None"), ("auto", "auto")]
)
def test_choosing_one(client: TestClient, name: str, kept: str) -> None:
    assert client.post("/sdapi/v1/options", json={"sd_vae": name}).status_code == 200
    assert client.get("/sdapi/v1/options").json()["sd_vae"] == kept


@pytest.mark.parametrize(("name", "status"), [("c.pt", 422), ("broken.pt", 422), (7, 422)])
def test_what_cannot_be_chosen_is_refused_by_name(client: TestClient, name: object, status: int) -> None:
    answer = client.post("/sdapi/v1/options", json={"sd_vae": name, "s_churn": 0.5})
    assert (answer.status_code, answer.json()["field"]) == (status, "sd_vae")
    assert client.get("/sdapi/v1/options").json()["s_churn"] == 0
