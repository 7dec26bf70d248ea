"""The promise for the Extras tab: A1111's picture, A1111's words about it, and the texts that it kept."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.reference.cases import SHARED, SHIPPED, Case, psnr, read
from tests.web.extras_desk import ExtrasWorld

CASES = [case for case in read(SHARED) or read(SHIPPED) if case.raw["group"] == "extras" and case.raw["status"] == 200]

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with ExtrasWorld(tmp_path_factory.mktemp("extras")) as world, TestClient(world.app) as calling:
        yield calling


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def answer(request: pytest.FixtureRequest, client: TestClient) -> tuple[Case, dict[str, Any], Image.Image]:
    """A case, our answer to it, and the picture in the answer; made once for all laws."""
    case: Case = request.param
    picture = case.root / "golden" / str(case.request["image"]).removeprefix("@")
    body = {**case.request, "image": base64.b64encode(picture.read_bytes()).decode()}
    response = client.post(case.raw["endpoint"], json=body)
    assert response.status_code == 200, response.text
    found = response.json()
    return case, found, Image.open(io.BytesIO(base64.b64decode(found["image"])))


def test_there_are_cases() -> None:
    assert len(CASES) >= (8 if SHARED.exists() else 0)


def test_the_same_picture(answer: tuple[Case, dict[str, Any], Image.Image]) -> None:
    case, _, image = answer
    theirs = case.picture(0)
    assert (image.mode, image.size) == (theirs.mode, theirs.size)
    assert psnr(image, theirs) >= 60


def test_the_same_words(answer: tuple[Case, dict[str, Any], Image.Image]) -> None:
    case, found, _ = answer
    assert found["html_info"] == case.raw["response"]["html_info"]


def test_the_same_texts_in_the_picture(answer: tuple[Case, dict[str, Any], Image.Image]) -> None:
    case, _, image = answer
    assert image.info == case.picture(0).info


def test_nothing_is_saved(answer: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert not list(Path(tmp_path_factory.getbasetemp()).glob("extras*/outputs/**/*.png"))
