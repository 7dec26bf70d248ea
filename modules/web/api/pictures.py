"""/sdapi/v1/png-info: what a picture says about how it was made; /interrogate: what it shows."""

from __future__ import annotations

import base64
import binascii
import re

from fastapi import APIRouter

from modules.core.errors import BadRequest, NotFound
from modules.imaging import png
from modules.imaging.reading import read_picture
from modules.prompts import importing, infotext
from modules.web.api import schemas

INTERROGATORS = ("clip", "deepdanbooru")

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

    @router.post("/interrogate")
    def interrogateapi(body: schemas.InterrogateRequest) -> None:
        """Nothing here can describe a picture: the answer says so, after a look at the picture and the model's name."""
        read_picture(decode(body.image, field="image"), field="image")
        if body.model not in INTERROGATORS:
            raise NotFound("Model", body.model, INTERROGATORS, field="model")
        what = f'model: no files of "{body.model}" are there that could describe a picture'
        raise BadRequest(f"{what}, and this version of Easel cannot fetch or use them.", field="model")

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
