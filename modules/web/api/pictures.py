"""/sdapi/v1/png-info: what a picture says about how it was made; /interrogate: what it shows.

`decode` is how every route takes a picture: base64, or its address where the options allow that; `encoded` how one is
answered with.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from modules.core.errors import BadRequest, NotFound
from modules.generate.describing_jobs import KIND
from modules.imaging import png
from modules.prompts import importing, infotext, pasted_styles
from modules.web.api import errors, schemas
from modules.web.security.fetching import Policy, fetch

if TYPE_CHECKING:
    from modules.web.services import Services

_PREFIX = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
NO_ADDRESSES = Policy()


def routes(services: Services) -> APIRouter:
    """Reading pictures."""
    router = APIRouter()

    @router.post("/png-info", response_model=schemas.PNGInfoResponse)
    def pnginfoapi(body: schemas.PNGInfoRequest) -> schemas.PNGInfoResponse:
        """Generation parameters and other texts of a picture; absent parameters have A1111's defaults.

        What another program wrote is translated into A1111's infotext.
        """
        metadata = png.read(decode(body.image, field="image", addresses=services.fetching))
        info = importing.shown(metadata.infotext, metadata.items, metadata.size)
        action = services.options.snapshot()["infotext_styles"]
        found = pasted_styles.inferred(importing.parse(info), services.styles, action)
        parameters = infotext.with_defaults(found)
        return schemas.PNGInfoResponse(info=info, items=metadata.items, parameters=parameters)

    @router.post("/interrogate", response_model=None)
    async def interrogateapi(body: schemas.InterrogateRequest, request: Request) -> Response:
        """Describe a picture, with a model of your own: {"caption"}. Where there is none, the answer says what to put
        where.
        """
        id = await run_in_threadpool(submit, services, body, request.state.user)
        result = errors.result(await services.queue.finished(id))
        return result if isinstance(result, Response) else errors.as_json({"caption": result["caption"]})

    return router


def submit(services: Services, body: schemas.InterrogateRequest, owner: str, *, id: str | None = None) -> str:
    """Check a picture and queue it -> job id. Raises BadRequest, NotFound, EaselError where no model describes."""
    picture = services.inputs.add(decode(body.image, field="image", addresses=services.fetching), field="image")
    services.describers.check(body.model)
    return services.queue.submit(KIND, {"picture": picture, "model": body.model}, id=id, owner=owner)


def encoded(path: Path) -> str:
    """A job's picture file in base64 as it was written, so that its texts travel along. Raises NotFound: it was moved
    or deleted since.
    """
    try:
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise NotFound("Picture", str(path), hint=f"It cannot be read any more: {error.strerror}.") from error


def decode(text: str, *, field: str, addresses: Policy = NO_ADDRESSES) -> bytes:
    """The bytes of a base64 text, with or without a data: prefix, or of an address. Raises BadRequest(field)."""
    if text.lstrip()[:8].lower().startswith(("http://", "https://")):
        return fetch(text.strip(), addresses, field=field)
    prefix = _PREFIX.match(text.lstrip())
    payload = text.lstrip()[prefix.end() :] if prefix else text
    try:
        data = base64.b64decode(_SPACE.sub("", payload), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{field}: this is not base64: {error}", field=field) from error
    if not data:
        raise BadRequest(f"{field}: there is no picture in it.", field=field)
    return data
