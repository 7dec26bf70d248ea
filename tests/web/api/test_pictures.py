"""/sdapi/v1/png-info gives A1111's answers."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from modules.core.errors import BadRequest
from modules.web.api.pictures import decode
from tests.web.api.fakes import World

URL = "/sdapi/v1/png-info"
GOLDEN = Path(__file__).parents[4] / "shared" / "reference" / "golden"


def cases() -> list[dict[str, Any]]:
    file = GOLDEN / "cases.jsonl"
    if not file.exists():
        return []
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if '"png-info"' in line]
    return [case for case in found if case["group"] == "png-info"]


@pytest.mark.reference
@pytest.mark.skipif(not GOLDEN.exists(), reason="A1111's answers are not here")
@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_the_answers_of_a1111(asking: TestClient, case: dict[str, Any]) -> None:
    file = GOLDEN / case["request"]["image"].removeprefix("@")
    answer = asking.post(URL, json={"image": base64.b64encode(file.read_bytes()).decode()})
    assert answer.status_code == 200
    assert answer.json() == case["response"]


def test_styles_are_found_in_the_prompts_unless_the_option_says_no(tmp_path: Path) -> None:
    (tmp_path / "styles.csv").write_text('name,prompt,negative_prompt\nfine,"{prompt}, in oil",\n')
    target, chunks = io.BytesIO(), PngInfo()
    chunks.add_text("parameters", "a cat, in oil\nSteps: 9, Sampler: Euler, Seed: 7")
    Image.new("RGB", (8, 8)).save(target, "PNG", pnginfo=chunks)
    body = {"image": base64.b64encode(target.getvalue()).decode()}
    with World(tmp_path) as world:
        client = TestClient(world.app)
        found = client.post(URL, json=body).json()["parameters"]
        assert (found["Prompt"], found["Styles array"]) == ("a cat", ["fine"])
        client.post("/sdapi/v1/options", json={"infotext_styles": "Ignore"})
        found = client.post(URL, json=body).json()["parameters"]
        assert found["Prompt"] == "a cat, in oil"
        assert "Styles array" not in found


def encoded(format: str = "PNG") -> str:
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, format=format)
    return base64.b64encode(target.getvalue()).decode()


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", " \n", "DATA:image/png;charset=utf-8;base64,"])
def test_a_picture_without_infotext(asking: TestClient, prefix: str) -> None:
    content = asking.post(URL, json={"image": prefix + encoded() + "\n"}).json()
    assert (content["info"], content["items"]) == ("", {})


GRAPH = {
    "1": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 7,
            "steps": 9,
            "cfg": 5,
            "sampler_name": "euler",
            "scheduler": "karras",
            "positive": ["2", 0],
        },
    },
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a \ud83d\udc31"}},
}
FORGE = "a cat\nSteps: 9, Sampler: Euler, Seed: 7, Size: 8x8, Shift: 3, Version: neo"


def with_chunk(key: str, text: str) -> str:
    target, chunks = io.BytesIO(), PngInfo()
    chunks.add_text(key, text)
    Image.new("RGB", (8, 6)).save(target, "PNG", pnginfo=chunks)
    return base64.b64encode(target.getvalue()).decode()


def test_a_graph_of_comfyui_is_translated(asking: TestClient) -> None:
    content = asking.post(URL, json={"image": with_chunk("prompt", json.dumps(GRAPH))}).json()
    assert content["info"] == (
        "a \U0001f431\nSteps: 9, Sampler: Euler, Schedule type: Karras, CFG scale: 5, Seed: 7, Size: 8x6, RNG: CPU, "
        "Version: ComfyUI"
    )
    assert content["items"] == {"prompt": json.dumps(GRAPH)}
    assert content["parameters"]["Prompt"] == "a \U0001f431"
    assert (content["parameters"]["Sampler"], content["parameters"]["Size-2"]) == ("Euler", "6")


def test_an_infotext_of_forge_stays_and_its_parameters_are_translated(asking: TestClient) -> None:
    content = asking.post(URL, json={"image": with_chunk("parameters", FORGE)}).json()
    assert content["info"] == FORGE
    assert content["parameters"]["Distilled CFG Scale"] == "3"


@pytest.mark.parametrize(
    "image",
    [
        "",
        "not base64",
        "aGVsbG8=",
        "data:image/png;base64,",
        encoded()[:40],
        "http://localhost/x.png",
        "HTTPS://example.org/x.png",
        "\u00e4",
    ],
)
def test_what_is_no_picture_names_the_field(asking: TestClient, image: str) -> None:
    answer = asking.post(URL, json={"image": image})
    assert (answer.status_code, answer.json()["field"]) == (422, "image")


@pytest.mark.parametrize("body", [{}, {"image": None}, {"image": 5}, {"image": ["x"]}])
def test_the_field_is_required(asking: TestClient, body: dict[str, Any]) -> None:
    answer = asking.post(URL, json=body)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "image"])


@given(st.binary(min_size=1), st.sampled_from(["", "data:image/png;base64,", "data:;base64,"]))
def test_base64_is_read_back(data: bytes, prefix: str) -> None:
    assert decode(prefix + base64.b64encode(data).decode(), field="image") == data


@given(st.text())
def test_any_text_is_bytes_or_a_bad_request(text: str) -> None:
    refused = ""
    try:
        assert decode(text, field="image")
    except BadRequest as error:
        refused = error.field
    assert refused in ("", "image")
