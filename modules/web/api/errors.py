"""Failures as answers: an `EaselError` becomes {"error", "detail", "body", "errors", "field"} with a status that fits.

BadRequest is 422. NotFound is 422 when a field of the body named the thing and 404 when the address did. NoCheckpoint
is 503: the program runs, but there is nothing to make pictures with yet. A frozen setting is a BadRequest. Everything
else is 500. Errors that pydantic finds keep FastAPI's form, {"detail": [{"loc": ["body", "steps"], ...}]}. Both forms
are in the OpenAPI of every route.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from modules.core.errors import BadRequest, EaselError, Forbidden, NoCheckpoint, NotFound

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.jobs.queue import Job

log = logging.getLogger(__name__)

_STATUS = {BadRequest.__name__: 422, NotFound.__name__: 422, NoCheckpoint.__name__: 503, Forbidden.__name__: 403}


class Failure(BaseModel):
    """What went wrong, in words."""

    error: str = Field("", description="The kind of failure: BadRequest, NotFound, …")
    detail: str = Field(description="What happened, to which thing, and the way out.")
    body: str = ""
    errors: str = Field("", description="The detail once more, where A1111's clients look for it.")
    field: str = Field("", description="The field of the request that is at fault, if one is.")
    request_id: str = Field("", description="As in the header X-Request-ID and in the log.")


class ValidationError(BaseModel):
    """A field that does not fit its schema."""

    loc: list[str | int] = Field(title="Location")
    msg: str = Field(title="Message")
    type: str = Field(title="Error Type")


class HTTPValidationError(BaseModel):
    """Fields that do not fit their schema."""

    detail: list[ValidationError]
    request_id: str = ""


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    422: {"model": HTTPValidationError | Failure, "description": "Validation Error"},
    "4XX": {"model": Failure, "description": "The request cannot be done as it is."},
    "5XX": {"model": Failure, "description": "It failed here; 503: nothing to make pictures with, or not yet."},
}


def install(app: FastAPI) -> None:
    """Make `app` answer with the shapes above, and say so of all routes that come after this."""
    app.router.responses = {**DOCUMENTED, **(app.router.responses or {})}
    app.add_exception_handler(EaselError, _easel)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def answer(error: str, message: str, *, field: str = "", status: int | None = None) -> Response:
    """The answer for an error known by its class name; `status` overrides the table."""
    content = {"error": error, "detail": message, "body": "", "errors": message, "field": field}
    return as_json(content, status=status or _STATUS.get(error, 500))


def result(job: Job) -> JsonObject | Response:
    """What came of a job that has ended, or the answer that says why nothing did."""
    if job.state == "done" and job.result is not None:
        return job.result
    if job.state == "cancelled":
        return answer("Cancelled", f"Job {job.id} was cancelled.", status=409)
    return answer(job.error_type or "EaselError", job.error or f"Job {job.id} failed.", field=job.error_field or "")


def as_json(content: object, *, status: int = 200) -> Response:
    """ASCII JSON: also what no UTF-8 can hold (half of a surrogate pair, sent back in a message) can be written."""
    return Response(dumps(content), status_code=status, media_type="application/json")


def dumps(content: object) -> str:
    """`content` as ASCII JSON; numbers that are not finite are a bug (ValueError)."""
    return json.dumps(content, allow_nan=False)


async def _easel(request: Request, error: Exception) -> Response:
    field = getattr(error, "field", "")
    status = 404 if isinstance(error, NotFound) and not field else None
    if not isinstance(error, BadRequest | NotFound):
        log.warning("%s %s: %s", request.method, request.url.path, error)
    return answer(type(error).__name__, str(error), field=field, status=status)


async def _validation(request: Request, error: Exception) -> Response:
    """Without the input itself: it may be large, or nothing that JSON can hold."""
    found: list[dict[str, Any]] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    detail = [{"loc": list(item["loc"]), "msg": item["msg"], "type": item["type"]} for item in found]
    return as_json({"detail": detail}, status=422)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    content = {"error": "HTTPException", "detail": error.detail, "body": "", "errors": ""}
    response = as_json(content, status=error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _bug(request: Request, error: Exception) -> Response:
    """Starlette raises it again after this answer, so that the server logs the traceback."""
    return answer(type(error).__name__, f"Unexpected {type(error).__name__}: {error}", status=500)
