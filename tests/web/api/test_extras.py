"""A1111's routes of the Extras tab: schemas, answers, and refusals that name the field. Golden pictures are compared in
tests/reference/test_extras.py.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from modules.generate.postprocess import Piece, Step
from modules.plugins.api import flag, number
from tests.loading.upscale import made
from tests.web.extras_desk import ExtrasWorld

SHARED = Path(__file__).parents[4] / "shared" / "reference"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ExtrasWorld]:
    with ExtrasWorld(tmp_path) as running:
        yield running


@pytest.fixture
def client(world: ExtrasWorld) -> Iterator[TestClient]:
    with TestClient(world.app, raise_server_exceptions=False) as calling:
        yield calling


def encoded(width: int = 40, height: int = 24, format: str = "PNG") -> str:
    target = io.BytesIO()
    Image.new("RGB", (width, height), (10, 200, 90)).save(target, format)
    return base64.b64encode(target.getvalue()).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def single(client: TestClient, **body: Any) -> Any:
    return client.post("/sdapi/v1/extra-single-image", json={"image": encoded(), **body})


def test_a_picture_is_upscaled(client: TestClient, world: ExtrasWorld) -> None:
    answer = single(client, upscaler_1="Lanczos", upscaling_resize=3, image=f"data:image/png;base64,{encoded()}").json()
    assert opened(answer["image"]).size == (120, 72)
    assert answer["html_info"] == "<p>Postprocess upscale by: 3.0, Postprocess upscaler: Lanczos</p>"
    assert world.desk.saved == []


def test_a_model_file_is_an_upscaler(client: TestClient, world: ExtrasWorld) -> None:
    made.pth(world.folder / "models" / "ESRGAN" / "4x-tiny.pth", made.compact())
    assert "4x-tiny" in [row["name"] for row in client.get("/sdapi/v1/upscalers").json()]
    answer = single(client, upscaler_1="4x-tiny", upscaler_2="Nearest", extras_upscaler_2_visibility=0.5).json()
    assert opened(answer["image"]).size == (80, 48)
    assert "Postprocess upscaler 2: Nearest" in answer["html_info"]
    assert world.desk.upscalers.kept is None, "freed when the job ends"


def test_several_pictures_come_back_in_their_order(client: TestClient) -> None:
    files = [{"data": encoded(8 * width, 8), "name": f"{width}.png"} for width in (3, 1, 2)]
    answer = client.post("/sdapi/v1/extra-batch-images", json={"imageList": files, "upscaler_1": "Nearest"}).json()
    assert [opened(image).width for image in answer["images"]] == [48, 16, 32]


def test_steps_of_extensions_are_asked_by_name(client: TestClient, world: ExtrasWorld) -> None:
    def turned(piece: Piece, asked: Any, tools: Any, /) -> None:
        piece.image = piece.image.rotate(asked["angle"], expand=True)

    parameters = (flag("enable", "On"), number("angle", "Angle", 0, 0, 360, 90))
    world.desk.steps.add(Step(name="Turned", order=9, run=turned, parameters=parameters))
    asked = {"Turned": {"enable": True, "angle": 90}}
    assert opened(single(client, steps=asked).json()["image"]).size == (24, 40)
    assert opened(single(client, steps={"Turned": {"angle": 90}}).json()["image"]).size == (40, 24)
    for steps, words in (
        ({"Turned": {"angle": 400}}, "at most 360"),
        ({"Turnt": {}}, "Turned"),
        ({"Upscale": {}}, "fields of its own"),
        ({"Auto-sized crop": {"mindim": "x"}}, "such as 384"),
    ):
        answer = single(client, steps=steps)
        assert answer.status_code in (404, 422)
        assert words in answer.json()["detail"]


def test_pictures_that_are_not_wanted_are_not_sent(client: TestClient) -> None:
    answer = single(client, show_extras_results=False, upscaler_1="Lanczos").json()
    assert answer["image"] is None
    assert "Lanczos" in answer["html_info"]


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_any_format_is_read(client: TestClient, format: str) -> None:
    assert opened(single(client, image=encoded(format=format)).json()["image"]).size == (40, 24)


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"upscaler_1": "Lancoz"}, "upscaler_1", "Lanczos"),
        ({"upscaler_1": "R-ESRGAN 4x+"}, "upscaler_1", "RealESRGAN_x4plus.pth"),
        ({"gfpgan_visibility": 1}, "gfpgan_visibility", "GFPGANv1.4.pth"),
        ({"codeformer_visibility": 0.5}, "codeformer_visibility", "codeformer-v0.1.0.pth"),
        ({"image": ""}, "image", "no picture"),
        ({"image": "not base64!"}, "image", "base64"),
        ({"image": base64.b64encode(b"hello").decode()}, "image", "not a picture"),
        ({"image": encoded()[:60]}, "image", "image"),
        ({"image": encoded(3000, 3000), "upscaler_1": "Lanczos", "upscaling_resize": 60}, "", "smaller factor"),
    ],
)
def test_refusals_name_the_field_and_the_way_out(client: TestClient, body: Any, field: str, says: str) -> None:
    answer = single(client, **body)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"resize_mode": 2},
        {"upscaling_resize": 0},
        {"upscaling_resize": 1e9},
        {"upscaling_resize_w": 0},
        {"upscaling_resize_h": 10**6},
        {"gfpgan_visibility": 1.1},
        {"extras_upscaler_2_visibility": -1},
        {"image": 7},
    ],
)
def test_values_out_of_range_are_refused(client: TestClient, body: Any) -> None:
    assert single(client, **body).status_code == 422


def test_a_damaged_upscaler_is_named(client: TestClient, world: ExtrasWorld) -> None:
    made.pth(world.folder / "models" / "ESRGAN" / "odd.pth", {"a": 1})
    answer = single(client, upscaler_1="odd")
    assert answer.status_code == 500
    assert "odd.pth" in answer.json()["detail"]


def test_the_lists_are_a1111s(client: TestClient) -> None:
    names = [row["name"] for row in client.get("/sdapi/v1/upscalers").json()]
    assert names == ["None", "Lanczos", "Nearest"]
    assert {row["scale"] for row in client.get("/sdapi/v1/upscalers").json()} == {4}
    assert [row["name"] for row in client.get("/sdapi/v1/face-restorers").json()] == ["CodeFormer", "GFPGAN"]
    if not SHARED.exists():
        pytest.skip("A1111's answers are not here")
    for path in ("latent-upscale-modes", "realesrgan-models"):
        theirs = json.loads((SHARED / "get" / f"{path}.json").read_text())
        ours = client.get(f"/sdapi/v1/{path}").json()
        assert [(row["name"], row.get("scale")) for row in ours] == [(row["name"], row.get("scale")) for row in theirs]


@pytest.mark.reference
@pytest.mark.parametrize(
    "path", ["extra-single-image", "extra-batch-images", "upscalers", "latent-upscale-modes", "realesrgan-models"]
)
def test_the_schemas_are_a1111s(world: ExtrasWorld, path: str) -> None:
    from tests.web.api import test_contract as contract

    if not contract.FILE.exists():
        pytest.skip("A1111's OpenAPI file is not here")
    theirs, ours = json.loads(contract.FILE.read_text(encoding="utf-8")), world.app.openapi()
    path = f"/sdapi/v1/{path}"
    method = "post" if "extra" in path else "get"
    contract.test_answers(theirs, ours, path, method)
    contract.test_requests(theirs, ours, path, method)
