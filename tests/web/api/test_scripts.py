"""Scripts are listed as A1111 lists them, and wrong names are answered with the right ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.reference.cases import SHARED
from tests.web.api.fakes import World

DYNAMIC = {"Checkpoint", "Upscaler", "Sampling method", "Schedule type"}
"""Arguments whose choices are what the machine has."""


def theirs(name: str) -> Any:
    path = SHARED / "get" / f"{name}.json"
    if not path.exists():
        pytest.skip("A1111's answers are not here")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.reference
def test_the_lists_are_a1111s(asking: TestClient) -> None:
    assert asking.get("/sdapi/v1/scripts").json() == theirs("scripts")


@pytest.mark.reference
def test_every_argument_is_a1111s(asking: TestClient) -> None:
    def comparable(script: dict[str, Any]) -> dict[str, Any]:
        def plain(argument: dict[str, Any]) -> dict[str, Any]:
            return argument | ({"choices": None, "value": None} if argument["label"] in DYNAMIC else {})

        return script | {"args": [plain(argument) for argument in script["args"]]}

    ours, expected = asking.get("/sdapi/v1/script-info").json(), theirs("script-info")
    assert [script["name"] for script in ours] == [script["name"] for script in expected]
    for own, their in zip(ours, expected, strict=True):
        assert comparable(own) == comparable(their)


def test_a_script_is_submitted_with_its_arguments(world: World, client: TestClient) -> None:
    body = {"prompt": "a cat", "steps": 1, "script_name": "Prompts From File or Textbox", "script_args": [True]}
    assert client.post("/sdapi/v1/txt2img", json=body).status_code == 200
    assert world.scripted == [("Prompts from file or textbox", [True])]


@pytest.mark.parametrize("name", [None, "", "None"])
def test_no_script_is_no_script(world: World, client: TestClient, name: str | None) -> None:
    assert client.post("/sdapi/v1/txt2img", json={"steps": 1, "script_name": name}).status_code == 200
    assert world.scripted == [(None, [])]


def test_scripts_that_always_run_are_accepted_as_a1111_names_them(world: World, client: TestClient) -> None:
    always: dict[str, Any] = {
        "hypertile": {"args": []},
        "Refiner": {"args": [True, "x", 0.5]},
        "SEED": {},
        "sampler": {},
    }
    assert client.post("/sdapi/v1/txt2img", json={"steps": 1, "alwayson_scripts": always}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "part"),
    [
        ({"script_name": "xyz plot"}, "script_name", "X/Y/Z plot"),
        ({"script_name": "loopback"}, "script_name", "not found"),
        ({"script_name": "custom code"}, "script_name", "--allow-code"),
        ({"alwayson_scripts": {"hypertiles": {"args": []}}}, "alwayson_scripts", "Hypertile"),
        ({"alwayson_scripts": {"controlnet": {"args": [{}]}}}, "alwayson_scripts", "not found"),
        ({"alwayson_scripts": {"prompt matrix": {"args": []}}}, "alwayson_scripts", "script_name"),
        ({"alwayson_scripts": {"seed": [1]}}, "alwayson_scripts", "args"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(
    asking: TestClient, body: dict[str, Any], field: str, part: str
) -> None:
    answer = asking.post("/sdapi/v1/txt2img", json={"steps": 1, **body})
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert part in answer.json()["detail"]
