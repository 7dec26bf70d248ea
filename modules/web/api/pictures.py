"""/sdapi/v1/png-info: what a picture says about how it was made."""

from __future__ import annotations

import base64
import binascii
import re

from fastapi import APIRouter

from modules.core.errors import BadRequest
from modules.imaging import png
from modules.prompts import importing, infotext
from modules.web.api import schemas

_PREFIX = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


def routes() -> APIRouter:
    """Reading pictures."""
    router = APIRouter()

    @router.post("/png-info", response_model=schemas.PNGInfoResponse)
    def pnginfoapi(body: schemas.PNGInfoRequest) -> schemas.PNGInfoResponse:
        """Generation parameters and other texts of a picture; absent parameters have A1111's defaults.

        What another program wrote is translated into A1111's infotext.
        """
        metadata = png.read(decode(body.image, field="image"))
        info = importing.shown(metadata.infotext, metadata.items, metadata.size)
        parameters = infotext.with_defaults(importing.parse(info))
        return schemas.PNGInfoResponse(info=info, items=metadata.items, parameters=parameters)

    return router


def decode(text: str, *, field: str) -> bytes:
    """The bytes of a base64 text, with or without a data: prefix. Raises BadRequest(field)."""
    if text.lstrip()[:8].lower().startswith(("http://", "https://")):
        raise BadRequest(f"{field}: addresses are not read in this version; send the picture in base64.", field=field)
    prefix = _PREFIX.match(text.lstrip())
    payload = text.lstrip()[prefix.end() :] if prefix else text
    try:
        data = base64.b64decode(_SPACE.sub("", payload), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{field}: this is not base64: {error}", field=field) from error
    if not data:
        raise BadRequest(f"{field}: there is no picture in it.", field=field)
    return data
