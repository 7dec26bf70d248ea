"""Scripts are listed as A1111 lists them, and wrong names are answered with the right ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient

from extensions.soft_inpainting import extension as soft_inpainting
from modules.generate.scripts.registry import AlwaysOn, Argument, Scripts, Tab, Work
from tests.reference.cases import SHARED
from tests.web.api.fakes import World

DYNAMIC = {"Checkpoint", "Upscaler", "Sampling method", "Schedule type"}
"""Arguments whose choices are what the machine has."""


def theirs(name: str) -> Any:
    path = SHARED / "get" / f"{name}.json"
    if not path.exists():
        pytest.skip("A1111's answers are not here")
    return json.loads(path.read_text(encoding="utf-8"))


class Registering:
    """What an extension with an always-on script is handed."""

    def __init__(self, scripts: Scripts) -> None:
        self.scripts = scripts

    def always_on(self, title: str, arguments: Sequence[Argument], work: Work, *, tabs: tuple[Tab, ...]) -> None:
        row = AlwaysOn(title=title, name=title.lower(), arguments=lambda tab, menus: arguments, work=work, tabs=tabs)
        self.remove = self.scripts.add_always_on(row)


@pytest.fixture
def extended(idle: World) -> Iterator[None]:
    """With the one script of A1111's that is an extension here."""
    registering = Registering(idle.services.scripts)
    soft_inpainting.register(registering)
    yield
    registering.remove()


def named(script: dict[str, Any]) -> tuple[bool, str]:
    """By this they are compared: in which order extensions come has no meaning."""
    return script["is_img2img"], script["name"]


@pytest.mark.reference
@pytest.mark.usefixtures("extended")
def test_the_lists_are_a1111s(asking: TestClient) -> None:
    ours, expected = asking.get("/sdapi/v1/scripts").json(), theirs("scripts")
    assert {tab: sorted(names) for tab, names in ours.items()} == {
        tab: sorted(names) for tab, names in expected.items()
    }


@pytest.mark.reference
@pytest.mark.usefixtures("extended")
def test_every_argument_is_a1111s(asking: TestClient) -> None:
    def comparable(script: dict[str, Any]) -> dict[str, Any]:
        def plain(argument: dict[str, Any]) -> dict[str, Any]:
            return argument | ({"choices": None, "value": None} if argument["label"] in DYNAMIC else {})

        return script | {"args": [plain(argument) for argument in script["args"]]}

    ours = sorted(asking.get("/sdapi/v1/script-info").json(), key=named)
    expected = sorted(theirs("script-info"), key=named)
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
