"""/sdapi/v1/img2img and /interrogate from outside: pictures go in as base64, bad ones name their field."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from modules.generate.request import Img2Img
from tests.web.api.fakes import World

URL = "/sdapi/v1/img2img"


def encoded(colour: str, size: tuple[int, int] = (8, 6)) -> str:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, format="PNG")
    return base64.b64encode(target.getvalue()).decode("ascii")


RED = encoded("red")
SMALL = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2}


def asked(world: World) -> Img2Img:
    found = world.requests[-1][0]
    assert isinstance(found, Img2Img)
    return found


def test_an_answer_has_pictures_and_not_those_that_came_in(client: TestClient) -> None:
    body = {**SMALL, "init_images": [RED], "mask": encoded("white")}
    content = client.post(URL, json=body).json()
    assert set(content) == {"images", "parameters", "info"}
    assert Image.open(io.BytesIO(base64.b64decode(content["images"][0]))).size == (64, 64)
    assert content["parameters"]["init_images"] is None
    assert content["parameters"]["mask"] is None
    assert json.loads(content["info"])["prompt"] == "a cat"
    shown = client.post(URL, json={**body, "include_init_images": True}).json()["parameters"]
    assert (shown["init_images"], shown["mask"]) == ([RED], body["mask"])


def test_pictures_lie_in_files_that_the_job_names(world: World, client: TestClient) -> None:
    prefixed = "data:image/png;base64," + encoded("blue")
    body = {**SMALL, "init_images": [RED, prefixed], "batch_size": 2, "mask": encoded("white")}
    assert client.post(URL, json=body).status_code == 200
    names, inputs = asked(world).init_images, world.services.inputs
    colours = [inputs.open(name, field="init_images").getpixel((0, 0)) for name in names]
    assert colours == [(255, 0, 0), (0, 0, 255)]
    assert RED not in json.dumps(asked(world).to_json())


def test_defaults_are_a1111s(world: World, client: TestClient) -> None:
    assert client.post(URL, json={"init_images": [RED]}).status_code == 200
    request = asked(world)
    assert (request.denoising_strength, request.steps, request.mask, request.mask_blur) == (0.75, 50, None, 4)
    assert (request.inpainting_fill, request.inpaint_full_res, request.resize_mode) == (0, True, 0)


@pytest.mark.parametrize(
    ("fields", "blurs"),
    [({"mask_blur": 7}, (7, 7)), ({"mask_blur_x": 1, "mask_blur_y": 2}, (1, 2)), ({"mask_blur": 0}, (0, 0))],
)
def test_mask_blur_is_short_for_both(
    fields: dict[str, int], blurs: tuple[int, int], world: World, client: TestClient
) -> None:
    assert client.post(URL, json={**SMALL, "init_images": [RED], **fields}).status_code == 200
    assert (asked(world).mask_blur_x, asked(world).mask_blur_y) == blurs


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("init_images", {"init_images": None}),
        ("init_images", {"init_images": []}),
        ("init_images", {"init_images": ["not base64"]}),
        ("init_images", {"init_images": [base64.b64encode(b"no picture").decode()]}),
        ("init_images", {"init_images": [7]}),
        ("init_images", {"init_images": ["https://example.com/cat.png"]}),
        ("mask", {"mask": "%%%"}),
        ("denoising_strength", {"denoising_strength": 2}),
        ("resize_mode", {"resize_mode": 9}),
        ("inpainting_fill", {"inpainting_fill": 4}),
        ("inpaint_full_res_padding", {"inpaint_full_res_padding": -1}),
    ],
)
def test_bad_input_names_its_field(field: str, change: dict[str, Any], asking: TestClient) -> None:
    answer = asking.post(URL, json={**SMALL, "init_images": [RED], **change})
    assert answer.status_code == 422
    assert field in answer.text


@pytest.mark.parametrize("sent", [True, False])
def test_inverting_the_mask_may_be_said_in_words_of_json(sent: bool, world: World, client: TestClient) -> None:
    body = {**SMALL, "init_images": [RED], "mask": RED, "inpainting_mask_invert": sent}
    assert client.post(URL, json=body).status_code == 200
    assert asked(world).inpainting_mask_invert == int(sent)


def test_infotext_fills_in_what_is_not_given(world: World, client: TestClient) -> None:
    text = "a dog\nSteps: 7, Sampler: DDIM, CFG scale: 3, Seed: 11, Size: 128x64, Denoising strength: 0.3"
    assert client.post(URL, json={"init_images": [RED], "infotext": text, "steps": 4}).status_code == 200
    request = asked(world)
    assert (request.prompt, request.steps, request.sampler_name, request.seed) == ("a dog", 4, "DDIM", 11)
    assert (request.width, request.denoising_strength) == (128, 0.3)


@pytest.mark.parametrize("model", ["clip", "deepdanbooru"])
def test_describing_a_picture_says_what_is_missing(model: str, asking: TestClient) -> None:
    answer = asking.post("/sdapi/v1/interrogate", json={"image": RED, "model": model})
    assert answer.status_code == 422
    assert model in answer.text


def test_describing_with_another_model_or_no_picture_is_refused(asking: TestClient) -> None:
    assert asking.post("/sdapi/v1/interrogate", json={"image": RED, "model": "oracle"}).status_code in (404, 422)
    answer = asking.post("/sdapi/v1/interrogate", json={"image": "", "model": "clip"})
    assert answer.status_code == 422
    assert "image" in answer.text
