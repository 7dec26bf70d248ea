"""What a picture, a prompt or a file's name says is text on the page, never markup."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image, PngImagePlugin

from modules.web.ui import markup
from tests.web.api.fakes import World

EVIL = "<img src=x onerror=alert(1)><script>alert('x')</script>\"'&"


def picture(text: str) -> str:
    target, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("parameters", f"{text}\nSteps: 1, Sampler: Euler, Seed: 1, Size: 8x8, Model: {json.dumps(text)}")
    info.add_text(text[:70], text)
    Image.new("RGB", (8, 8)).save(target, "PNG", pnginfo=info)
    return base64.b64encode(target.getvalue()).decode()


def harmless(html: str) -> bool:
    return "<script" not in html and "<img src=x" not in html


def test_every_builder_of_markup_escapes() -> None:
    """All functions of `markup` that take text are called with it."""
    built = [markup.infotext_html(EVIL)] if hasattr(markup, "infotext_html") else []
    for name, made in vars(markup).items():
        if callable(made) and getattr(made, "__module__", "") == markup.__name__ and not name.startswith("_"):
            texts = [
                each
                for each, kind in getattr(made, "__annotations__", {}).items()
                if kind in ("str", "str | None") and each != "return"
            ]
            if (
                made.__annotations__.get("return") == "str"
                and set(texts) == set(made.__annotations__) - {"return"}
                and texts
            ):
                built.append(made(**dict.fromkeys(texts, EVIL)))
    assert built
    assert all(map(harmless, built))


def test_extras_and_cards(world: World, client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/sdapi/v1/extra-single-image", json={"image": picture(EVIL), "upscaler_1": "Lanczos"}).json()
    assert harmless(answer["html_info"])
    folder = tmp_path / "hypernetworks"
    folder.mkdir()
    (folder / "a'onload='x.pt").write_bytes(b"x")
    (folder / "a'onload='x.txt").write_text(EVIL, encoding="utf-8")
    found = client.get(
        "/sd_extra_networks/get-single-card", params={"page": "hypernetworks", "name": "a'onload='x", "tabname": EVIL}
    )
    assert "card" in found.json()["html"]
    assert harmless(found.json()["html"])
    assert "'onload='" not in found.json()["html"]


@pytest.mark.parametrize("path", ["/internal/sysinfo", "/sdapi/v1/options", "/internal/quicksettings-hint"])
def test_answers_are_no_pages(world: World, client: TestClient, path: str) -> None:
    world.options.set({"samples_filename_pattern": EVIL})
    answer = client.get(path)
    assert not answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_png_info_answers_in_json(client: TestClient) -> None:
    answer = client.post("/sdapi/v1/png-info", json={"image": picture(EVIL)})
    assert answer.headers["content-type"] == "application/json"
    assert EVIL in answer.json()["info"], "kept as it was, for whoever shows it to escape"
