"""Small requests that would cost without end are refused at once: pictures, numbers, nesting, ranges."""

from __future__ import annotations

import base64
import io
import struct
import time
import zlib
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image, PngImagePlugin

from modules.generate.scripts.values import expand
from tests.web.api.fakes import World


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(width: int, height: int) -> bytes:
    """A kilobyte that says it is so large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def huge_text_png() -> bytes:
    """A picture whose text unpacks to 200 MB."""
    target, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 200_000_000, 9))
    Image.new("RGB", (8, 8)).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def postscript() -> bytes:
    """What Pillow would hand to Ghostscript."""
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(/etc/passwd) run\nshowpage\n%%EOF\n"


PICTURES = {
    "png": huge_png(60_000, 60_000),
    "tall": huge_png(1, 2**31 - 1),
    "text": huge_text_png(),
    "eps": postscript(),
}
ROUTES = {
    "/sdapi/v1/img2img": lambda image: {"init_images": [image]},
    "/sdapi/v1/extra-single-image": lambda image: {"image": image},
    "/sdapi/v1/interrogate": lambda image: {"image": image},
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", PICTURES)
def test_pictures(client: TestClient, route: str, kind: str) -> None:
    begun = time.monotonic()
    answer = client.post(route, json=ROUTES[route](base64.b64encode(PICTURES[kind]).decode()))
    assert answer.status_code == 422
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("kind", PICTURES)
def test_png_info_of_pictures(client: TestClient, kind: str) -> None:
    """It reads texts and no pixels."""
    begun = time.monotonic()
    answer = client.post("/sdapi/v1/png-info", json={"image": base64.b64encode(PICTURES[kind]).decode()})
    assert answer.status_code in (200, 422)
    assert len(answer.content) < 2**20
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 10**9), ("n_iter", 10**9), ("batch_size", 10**9), ("width", 10**9), ("height", 10**9),
        ("hr_second_pass_steps", 10**9), ("hr_resize_x", 10**9), ("firstphase_width", 10**9),
        ("steps", 10**400), ("seed", 10**400), ("cfg_scale", 10**400),
    ],
)  # fmt: skip
def test_numbers(world: World, client: TestClient, field: str, value: int) -> None:
    assert client.post("/sdapi/v1/txt2img", json={field: value}).status_code == 422
    assert client.post("/sdapi/v1/img2img", json={field: value, "mask_blur": 10**9}).status_code == 422
    assert not world.requests


def test_numbers_in_a_text(world: World, client: TestClient) -> None:
    text = "a cat\nSteps: 1000000000, Sampler: Euler, Size: 100000x100000, Batch size: 1000000000"
    assert client.post("/sdapi/v1/txt2img", json={"infotext": text}).status_code == 422
    assert not world.requests


@pytest.mark.parametrize(
    "body",
    [
        {"upscaling_resize": 10**9},
        {"upscaling_resize": 64, "upscaler_1": "Lanczos"},
        {"resize_mode": 1, "upscaling_resize_w": 10**9},
    ],
)
def test_enlargements(client: TestClient, body: dict[str, Any]) -> None:
    target = io.BytesIO()
    Image.new("L", (4096, 4096)).save(target, "PNG")
    body = {**body, "image": base64.b64encode(target.getvalue()).decode()}
    begun = time.monotonic()
    assert client.post("/sdapi/v1/extra-single-image", json=body).status_code == 422
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        b'{"alwayson_scripts": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
        b'{"steps": ' + b"9" * 100_000 + b"}",
    ],
)
def test_nesting_and_long_numbers(client: TestClient, content: bytes) -> None:
    answer = client.post("/sdapi/v1/txt2img", content=content, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("values", ["1-1000000000", "0-1 [1000000000]", "1-9000000000000000000"])
def test_ranges_of_plots(values: str) -> None:
    """X/Y/Z plots write ranges in a few letters."""
    begun = time.monotonic()
    for kind in ("int", "float"):
        with pytest.raises(ValueError, match="hold"):
            expand([values], kind)
    assert time.monotonic() - begun < 2


def test_a_prompt_of_a_megabyte_is_refused_and_one_of_brackets_is_read(client: TestClient) -> None:
    assert client.post("/sdapi/v1/txt2img", json={"prompt": "x" * 2**20}).status_code == 422
    begun = time.monotonic()
    for prompt in ("(" * 50_000, "[" * 50_000, "[a:" * 20_000, "[a|" * 20_000, "<lora:" * 10_000, "a AND " * 10_000):
        client.post("/sdapi/v1/txt2img", json={"prompt": prompt, "width": 64, "height": 64})
    assert time.monotonic() - begun < 30
