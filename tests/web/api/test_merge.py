"""The merger over the API: queued, followed by its id, refused by field."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.api.fakes import World

WISH = {
    "primary_model_name": "tiny.safetensors",
    "secondary_model_name": "sub/other.safetensors",
    "custom_name": "child",
}


def test_a_merge_is_a_job(world: World, client: TestClient) -> None:
    wish = {**WISH, "force_task_id": "mine", "loras": [["a", 0.5]], "block_weights": [0, 1]}
    assert client.post("/easel/v1/merge", json=wish).json() == {"id": "mine"}
    world.queue.wait("mine", timeout=10)
    state = client.get("/easel/v1/merge/mine").json()
    assert (state["state"], state["progress"], state["error"]) == ("done", 1.0, None)
    assert state["result"]["checkpoint"] == "child"
    row = world.queue.get("mine").request
    assert (row["multiplier"], row["loras"], row["block_weights"]) == (0.3, [["a", 0.5]], [0, 1])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"interp_method": "Mean"}, "interp_method"),
        ({"secondary_model_name": ""}, "secondary_model_name"),
        ({"primary_model_name": "nothing"}, "sd_model_checkpoint"),
        ({"metadata_json": "["}, "metadata_json"),
    ],
)
def test_nonsense_is_refused_by_field(client: TestClient, changes: dict[str, Any], field: str) -> None:
    answer = client.post("/easel/v1/merge", json={**WISH, **changes})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_damaged_model_and_an_unknown_job(client: TestClient) -> None:
    answer = client.post("/easel/v1/merge", json={**WISH, "primary_model_name": "broken.safetensors"})
    assert (answer.status_code, "cut off" in answer.json()["detail"]) == (422, True)
    assert client.get("/easel/v1/merge/nothing").status_code == 404
