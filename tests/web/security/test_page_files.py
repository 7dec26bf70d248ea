"""No widget of the page reads a file that was not uploaded, whatever a program that is no browser says of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio import processing_utils, utils
from PIL import Image
from starlette.routing import Mount

from modules.settings.flags import parse
from modules.web.security import page_files


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, gr.Blocks]]:
    """The data folder of the whole program and its page."""
    from modules.app import App

    before = processing_utils.async_move_files_to_cache
    data = tmp_path_factory.mktemp("data")
    routes = App(parse(["--api", "--data-dir", str(data)])).asgi.routes
    (mounted,) = [each.app for each in routes if isinstance(each, Mount) and hasattr(each.app, "get_blocks")]
    yield data, mounted.get_blocks()
    processing_utils.async_move_files_to_cache = before


def sent(kind: type, file: dict[str, Any]) -> Any:
    editor = {"background": file, "layers": [file], "composite": file}
    return {gr.Image: file, gr.File: [file], gr.ImageEditor: editor}[kind]


def taken(page: gr.Blocks, file: dict[str, Any]) -> list[str]:
    """The widgets that took it; of each kind an event that has one alone is asked."""
    alone = {type(event.inputs[0]): event for event in page.fns.values() if len(event.inputs) == 1}
    found = []
    for kind in (gr.Image, gr.File, gr.ImageEditor):
        try:
            asyncio.run(page.preprocess_data(alone[kind], [sent(kind, file)], None))
        except Exception:  # Gradio has many kinds
            continue
        found.append(kind.__name__)
    return found


MARKS: list[dict[str, Any]] = [{"meta": {"_type": "gradio.FileData"}}, {}, {"is_stream": True}, {"meta": {}}, {"x": 1}]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("place", ["models/a.png", "link.png", "outputs/../models/a.png", "/etc/passwd", "a\0.png"])
def test_what_was_not_uploaded_is_not_read(page: tuple[Path, gr.Blocks], mark: dict[str, Any], place: str) -> None:
    data, blocks = page
    secret, link = data / "models" / "a.png", data / "outputs" / "link.png"
    if not secret.exists():
        Image.new("RGB", (8, 8)).save(secret)
        os.symlink(secret, link)
    path = str(link) if place == "link.png" else place if place.startswith("/") else f"{data}/{place}"
    assert taken(blocks, {"path": path, **mark}) == []


def test_uploads_and_the_outputs_are(page: tuple[Path, gr.Blocks]) -> None:
    data, blocks = page
    uploads = Path(utils.get_upload_folder()) / "easel-test"
    uploads.mkdir(parents=True, exist_ok=True)
    for folder in (uploads, data / "outputs"):
        Image.new("RGB", (8, 8)).save(folder / "own.png")
        assert {"Image", "ImageEditor"} <= set(taken(blocks, {"path": str(folder / "own.png"), **MARKS[0]}))
        (folder / "own.png").unlink()
    uploads.rmdir()


def test_a_json_widget_may_say_path(tmp_path: Path) -> None:
    asked = {"path": "/etc/passwd"}
    with pytest.raises(gr.Error):
        page_files.check([{"a": asked}], [tmp_path])
    page_files.check({"path": ["/etc/passwd"], "other": str(tmp_path)}, [tmp_path])
