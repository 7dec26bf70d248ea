"""Extensions on the page: their tabs, scripts and styles, and the moment at which routes may be added."""

from __future__ import annotations

import logging
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gradio.context import Context
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount

from modules.compat import callbacks, gradio3

if TYPE_CHECKING:
    from fastapi import FastAPI

    from modules.compat.room import Room

log = logging.getLogger(__name__)


@contextmanager
def building(room: Room) -> Iterator[None]:
    """Around the building of the page: old spellings work, component callbacks are called."""
    with gradio3.speaking(room):
        room.callbacks.call("before_ui")
        yield


def tabs(room: Room) -> list[tuple[str, str, Any]]:
    """(title, element id, blocks) of the tabs that on_ui_tabs gives; a failing one is left out."""
    found = []
    with gradio3.speaking(room), gradio3.guest(), _apart():
        for each in room.callbacks.of("ui_tabs"):
            for made in room.callbacks.one("ui_tabs", each) or ():
                if isinstance(made, list | tuple) and len(made) == 3:
                    blocks, title, elem_id = made
                    found.append((str(title), str(elem_id), blocks))
    return found


PREVIEWED = (*("prompt", "neg_prompt", "steps", "sampling", "cfg_scale", "seed", "width", "height"),)
"""Widgets of txt2img that A1111 shows to training: ends of their element ids."""


def train_tabs(room: Room) -> None:
    """Call those of on_ui_train_tabs, inside the tabs of the Train tab, with txt2img's widgets."""
    shown = [room.widgets.get(f"txt2img_{name}") for name in PREVIEWED]
    params = callbacks.UiTrainTabParams([each for each in shown if each is not None])
    with gradio3.speaking(room), gradio3.guest():
        for each in room.callbacks.of("ui_train_tabs"):
            with gradio3.kept_place():
                room.callbacks.one("ui_train_tabs", each, params)


@contextmanager
def _apart() -> Iterator[None]:
    """What is built is a page of its own, which is rendered into a tab later."""
    outer = Context.block, Context.root_block
    Context.block = Context.root_block = None
    try:
        yield
    finally:
        Context.block, Context.root_block = outer


def _file(room: Room) -> Callable[[Request, str], Response]:
    """Gradio 3's address of files, on to Gradio's own, which knows what may be read; relative to the program's root."""

    def file(request: Request, path: str) -> Response:
        whole = urllib.parse.quote((room.app.paths.root / path).as_posix())
        asked = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/gradio_api/file={whole}{asked}")

    return file


def started(room: Room, asgi: FastAPI) -> None:
    """The page is served: callbacks of on_app_started add their routes, which come before the page's own."""
    routes = asgi.router.routes
    last = [route for route in routes if isinstance(route, Mount) and route.path in ("", "/")]
    served = (getattr(route.app, "get_blocks", None) for route in last)
    room.demo = next((blocks() for blocks in served if blocks is not None), None)
    asgi.add_api_route("/file={path:path}", _file(room), methods=["GET", "HEAD"], include_in_schema=False)
    room.callbacks.call("app_started", room.demo, asgi)
    routes[:] = [*(route for route in routes if route not in last), *last]
