"""Gradio reads an address in a file's place by our rules alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio import processing_utils
from gradio.data_classes import FileData

from modules.web.security import page_fetching
from modules.web.security.fetching import Policy

ADDRESS = "http://pictures.example/a.png"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that were asked for."""
    found: list[str] = []

    def fetch(url: str, policy: Policy, *, field: str, **_: Any) -> bytes:
        found.append(url)
        return b"bytes"

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_get", processing_utils.async_ssrf_protected_get)
    monkeypatch.setattr(page_fetching, "fetch", fetch)
    return found


def given(widget: Any) -> Any:
    """What becomes of an address that a browser sends as a file of this widget."""
    data = FileData(path=ADDRESS).model_dump()
    return asyncio.run(processing_utils.async_move_files_to_cache(data, widget, check_in_upload_folder=True))


def test_off_it_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing_utils, "async_ssrf_protected_get", processing_utils.async_ssrf_protected_get)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    page_fetching.guard(Policy)
    with pytest.raises(gr.Error, match="api_enable_requests"):
        given(gr.Image())


def test_on_it_reads_through_the_one_that_pins_and_refuses(asked: list[str], tmp_path: Path) -> None:
    page_fetching.guard(lambda: Policy(enabled=True))
    with gr.Blocks(analytics_enabled=False):
        widget = gr.File()
    widget.GRADIO_CACHE = str(tmp_path)
    assert Path(given(widget)["path"]).read_bytes() == b"bytes"
    assert asked == [ADDRESS]
