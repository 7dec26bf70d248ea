"""The Checkpoint Merger tab: its form makes the request that it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from modules.core.errors import BadRequest
from modules.web.ui import merger
from tests.web.ui.fakes import World


def made(world: World) -> merger.Tab:
    with gr.Blocks(analytics_enabled=False):
        return merger.build(world.services)


def values(tab: merger.Tab, **given: Any) -> dict[Any, Any]:
    usual = {name: widget.value for name, widget in tab.form.items()} | {"config_source": 0}
    return {tab.form[name]: value for name, value in (usual | given).items()}


def shown(tab: merger.Tab, data: dict[Any, Any]) -> str:
    async def last() -> Any:
        return [updates async for updates in tab.start(data)][-1][tab.result]

    return str(asyncio.run(last()))


def test_the_form_becomes_the_request(make_world: Callable[..., World]) -> None:
    world = make_world()
    tab = made(world)
    names = {"primary_model_name": "a", "secondary_model_name": "b", "block_weights": "0, .5 1", "loras": "x: 0.5\ny"}
    assert "merged.safetensors" in shown(tab, values(tab, **names))
    (job,) = world.services.queue.list(limit=5)
    assert job.request["primary_model_name"] == "a"
    assert job.request["block_weights"] == [0, 0.5, 1]
    assert job.request["loras"] == [["x", 0.5], ["y", 1.0]]


def test_what_is_missing_is_said(make_world: Callable[..., World]) -> None:
    tab = made(make_world())
    assert "needs a secondary model" in shown(tab, values(tab, primary_model_name="a"))


@pytest.mark.parametrize("text", ["0, half", "1;;x"])
def test_multipliers_must_be_numbers(text: str) -> None:
    with pytest.raises(BadRequest):
        merger.block_weights(text)


def test_loras_are_understood_as_prompts_write_them() -> None:
    assert merger.loras("<lora:ink:0.3>\n\n castle") == (("ink", 0.3), ("castle", 1.0))
