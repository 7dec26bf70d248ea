"""/sd_extra_networks/*: previews, covers and metadata of model files, for the cards of the page and for extensions.

Files are found by the names in the program's own lists. The one route that is told a path (thumb, as in A1111) serves
pictures below the model folders, links followed first, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from modules.core.errors import BadRequest, NotFound
from modules.imaging.reading import read_picture
from modules.loading import cards
from modules.web.api import errors

if TYPE_CHECKING:
    from modules.web.services import Services

COVERS = "ssmd_cover_images"
TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}
_MADE = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp", b"GIF8": "image/gif"}


def routes(services: Services) -> APIRouter:
    """What is known of model files."""
    router = APIRouter(prefix="/sd_extra_networks")

    @router.get("/thumb", response_model=None)
    def fetch_file(filename: str = "") -> Response:
        """A preview, by its path."""
        path = _allowed(services, filename)
        kind = TYPES.get(path.suffix.lower().lstrip("."))
        if kind is None or not path.is_file():
            raise NotFound("Preview", Path(filename).name)
        return FileResponse(path, media_type=kind)

    @router.get("/cover-images", response_model=None)
    def fetch_cover_images(page: str = "", item: str = "", index: int = 0) -> Response:
        """A picture that a file's own metadata hold."""
        found = _metadata(services, page, item).get(COVERS)
        pictures = json.loads(found) if isinstance(found, str) else found
        if not isinstance(pictures, list) or not 0 <= index < len(pictures):
            raise NotFound("Cover", f"{item} {index}")
        try:
            data = base64.b64decode(str(pictures[index]), validate=True)
            read_picture(data, field="item")
        except (binascii.Error, BadRequest) as error:
            raise NotFound("Cover", f"{item} {index}") from error
        kind = next((kind for mark, kind in _MADE.items() if data.startswith(mark)), None)
        if kind is None:
            raise NotFound("Cover", f"{item} {index}")
        return Response(data, media_type=kind)

    @router.get("/metadata", response_model=None)
    def get_metadata(page: str = "", item: str = "") -> Response:
        """{"metadata": JSON as text}; {} for what is not there or says nothing of itself."""
        try:
            found = {name: value for name, value in _metadata(services, page, item).items() if name != COVERS}
        except NotFound:
            found = {}
        return errors.as_json({"metadata": json.dumps(found, indent=4, ensure_ascii=False)} if found else {})

    @router.get("/get-single-card", response_model=None)
    def get_single_card(page: str = "", tabname: str = "", name: str = "") -> Response:
        """{"html": one card}; {} for what is not there."""
        path = items(services, page).get(name)
        if path is None:
            return errors.as_json({})
        return errors.as_json({"html": _card(name, tabname, cards.read(path).description)})

    return router


def items(services: Services, page: str) -> Mapping[str, Path]:
    """Name -> file of what a page of A1111's extra networks shows; {} for an unknown page."""
    networks = services.networks()
    known: dict[str, Any] = {
        "checkpoints": lambda: {entry.model_name: entry.path for entry in services.library.checkpoints()},
        "lora": lambda: {file.name: file.path for file in networks.loras.all()},
        "hypernetworks": lambda: {file.name: file.path for file in networks.hypernetworks.all()},
        "textual inversion": lambda: {each.name: each.file.path for each in networks.embeddings.scan()},
    }
    found: Mapping[str, Path] = known.get(page.lower().replace("_", " "), dict)()
    return found


def _metadata(services: Services, page: str, item: str) -> Mapping[str, Any]:
    path = items(services, page).get(item)
    if path is None:
        raise NotFound("Item", item)
    try:
        return cards.read(path).metadata
    except FileNotFoundError as error:
        raise NotFound("Item", item) from error


def _allowed(services: Services, filename: str) -> Path:
    """The real path, below one of the model folders. Raises NotFound without telling what lies elsewhere."""
    paths = services.paths
    folders = (paths.models, *paths.checkpoints, *paths.vae, *paths.loras, *paths.embeddings, *paths.hypernetworks)
    try:
        real = Path(os.path.realpath(filename))
    except (OSError, ValueError):
        real = Path()
    if not filename or not any(Path(os.path.realpath(folder)) in real.parents for folder in folders):
        raise NotFound("Preview", Path(filename.replace("\0", "")).name)
    return real


def _card(name: str, tab: str, description: str) -> str:
    shown = html.escape(name)
    about = f'<span class="description">{html.escape(description)}</span>' if description else ""
    tab = html.escape(tab)
    return f'<div class="card" data-name="{shown}" data-tab="{tab}"><span class="name">{shown}</span>{about}</div>'
