"""Extensions on the page: their tabs, scripts and styles, and the moment at which routes may be added."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.routing import Mount

from modules.compat import gradio3

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
    with gradio3.speaking(room), gradio3.guest():
        for each in room.callbacks.of("ui_tabs"):
            for made in room.callbacks.one("ui_tabs", each) or ():
                if isinstance(made, list | tuple) and len(made) == 3:
                    blocks, title, elem_id = made
                    found.append((str(title), str(elem_id), blocks))
    return found


def build_tabs(room: Room) -> list[str]:
    """The tabs, inside the open gr.Tabs -> their titles."""
    made = tabs(room)
    for title, elem_id, blocks in made:
        with gr.Tab(title, id=elem_id, elem_id=f"tab_{elem_id}"):
            blocks.render()
    return [title for title, _, _ in made]


def started(room: Room, blocks: Any, asgi: FastAPI) -> None:
    """The page is served: callbacks of on_app_started add their routes, which come before the page's own."""
    room.demo = blocks  # type: ignore[attr-defined]
    room.callbacks.call("app_started", blocks, asgi)
    routes = asgi.router.routes
    last = [route for route in routes if isinstance(route, Mount) and route.path in ("", "/")]
    asgi.router.routes[:] = [*(route for route in routes if route not in last), *last]


def javascript(room: Room) -> list[Path]:
    """Script files for the page's head, in order."""
    return [file for each in room.loaded for file in each.javascript]


def css(room: Room) -> str:
    """All style sheets."""
    parts = []
    for file in (file for each in room.loaded for file in each.css):
        try:
            parts.append(file.read_text(encoding="utf8"))
        except (OSError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read: %s", file, error)
    return "\n".join(parts)


def head(room: Room, *, prefix: str = "/easel/extension-file") -> str:
    """Script elements for the page's head; `routes` serves what they name."""
    lines = []
    for number, file in enumerate(javascript(room)):
        kind = ' type="module"' if file.suffix == ".mjs" else ""
        lines.append(f'<script defer{kind} src="{prefix}/{number}/{file.name}"></script>')
    return "\n".join(lines)


def routes(room: Room, asgi: FastAPI, *, prefix: str = "/easel/extension-file") -> None:
    """Serve the files of `head`, and nothing else."""
    from fastapi.responses import FileResponse, Response

    @asgi.get(prefix + "/{number}/{name}", include_in_schema=False)
    def extension_file(number: int, name: str) -> Response:
        files = javascript(room)
        if 0 <= number < len(files) and files[number].name == name:
            return FileResponse(files[number], media_type="text/javascript")
        return Response(status_code=404)
