"""Jobs, their results and pictures as the /easel/v1 routes show them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request
from pydantic import Field

from modules.core.errors import NotFound
from modules.core.types import JsonObject
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.jobs.history import Picture
    from modules.jobs.queue import Job, Queue

ROOT = "/easel/v1"
_TYPES = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "avif": "avif", "gif": "gif"}


class JobError(Schema):
    type: str
    message: str
    field: str | None = Field(None, description="The field of the request that is at fault.")


class JobView(Schema):
    """A job at the moment of asking. Times are unix seconds."""

    id: str
    kind: str
    state: str = Field(description="pending, running, done, failed or cancelled")
    owner: str
    priority: int = Field(description="Greater runs first.")
    position: int = Field(description="1 is the next to run, 0: does not wait.")
    created: float
    started: float | None
    finished: float | None
    attempts: int
    progress: float = Field(description="0..1")
    eta: float | None = Field(description="Seconds to go, null while unknown.")
    step: int
    steps: int
    text: str
    error: JobError | None


class JobDetail(JobView):
    request: dict[str, Any] = Field(description="What was asked for.")


class PictureView(Schema):
    """A picture of a job's result."""

    url: str
    infotext: str = ""
    seed: int | None = None
    kind: str = Field("sample", description="sample, grid, mask …")
    width: int | None = None
    height: int | None = None
    saved: bool = Field(False, description="Among the user's pictures; else it is kept with the newest 200 results.")
    data: str | None = Field(None, description="The file in base64, with ?pictures=base64.")


class ResultView(Schema):
    pictures: list[PictureView]
    info: Any = Field(None, description="A1111's info object.")
    comments: tuple[str, ...] = ()
    seconds: float | None = None
    more: dict[str, Any] = Field({}, description="What else this kind of job tells.")


class HistoryView(Schema):
    """A picture of the history. Times are unix seconds."""

    number: int
    job: str
    url: str
    path: str
    kind: str
    infotext: str
    seed: int | None
    width: int
    height: int
    model: str
    sampler: str
    created: float
    starred: bool
    trashed: float | None


def job(found: Job, queue: Queue, order: dict[str, int] | None = None) -> JobView:
    """order: positions, where they are known already."""
    return JobView(**_facts(found, queue, order))


def detail(found: Job, queue: Queue) -> JobDetail:
    asked = found.request.get("asked", found.request)
    return JobDetail(**_facts(found, queue, None), request=asked if isinstance(asked, dict) else {})


def _facts(found: Job, queue: Queue, order: dict[str, int] | None) -> dict[str, Any]:
    names = ("id", "kind", "state", "owner", "priority", "created", "started", "finished", "attempts")
    facts = {name: getattr(found, name) for name in names}
    now = queue.progress(found.id) if found.state == "running" else None
    position = 0
    if found.state == "pending":
        position = queue.position(found.id) if order is None else order.get(found.id, 0)
    error = None
    if found.error is not None:
        error = JobError(type=found.error_type or "EaselError", message=found.error, field=found.error_field)
    return facts | {
        "position": position,
        "progress": now.fraction if now else float(found.final),
        "eta": now.eta if now else None,
        "step": now.step if now else 0,
        "steps": now.steps if now else 0,
        "text": now.text if now else "",
        "error": error,
    }


def result(found: Job, *, inline: bool = False, root: str = "") -> ResultView:
    """Of a job that is done. inline: with the pictures in base64; root: the path the server is reached below."""
    told = dict(found.result or {})
    pictures = told.pop("pictures", [])
    return ResultView(
        pictures=[_picture(each, found.id, index, inline, root) for index, each in enumerate(pictures)],
        info=told.pop("info", None),
        comments=told.pop("comments", []),
        seconds=told.pop("seconds", None),
        more=told,
    )


def message(queue: Queue, job_id: str, type: str) -> JsonObject:
    """What a webhook is told of an event, beside the event itself."""
    try:
        found = queue.get(job_id)
    except NotFound:  # it was forgotten meanwhile
        return {}
    told: JsonObject = {"kind": found.kind, "owner": found.owner}
    if type == found.state == "done":
        told["result"] = result(found).model_dump()
    if type == found.state == "failed":
        told["error"] = {"type": found.error_type, "message": found.error, "field": found.error_field}
    return told


def _picture(facts: JsonObject, job_id: str, index: int, inline: bool, root: str) -> PictureView:
    names = ("infotext", "seed", "kind", "width", "height", "saved")
    data = base64.b64encode(content(facts)).decode("ascii") if inline else None
    known = {name: facts[name] for name in names if facts.get(name) is not None}
    return PictureView(url=f"{root}{ROOT}/jobs/{job_id}/pictures/{index}", data=data, **known)


def content(facts: JsonObject) -> bytes:
    """The file as it was written, so that the infotext inside it travels along. Raises `NotFound`."""
    path = Path(facts["path"])
    try:
        return path.read_bytes()
    except OSError as error:
        hint = f"It cannot be read any more: {error.strerror}."
        raise NotFound("Picture", path.name, hint=hint) from error


def media_type(path: str) -> str:
    """Of a picture by its ending; what is no picture is nothing that a browser would show."""
    found = _TYPES.get(path.rpartition(".")[2].lower())
    return f"image/{found}" if found else "application/octet-stream"


def picture(found: Picture, root: str = "") -> HistoryView:
    names = ("number", "path", "kind", "infotext", "seed", "width", "height", "model", "sampler", "created")
    facts = {name: getattr(found, name) for name in names}
    url = f"{root}{ROOT}/history/{found.number}/picture"
    return HistoryView(**facts, job=found.job_id, url=url, starred=found.starred, trashed=found.trashed)


def root(request: Request) -> str:
    """The path below which a proxy serves us."""
    return str(request.scope.get("root_path") or "").rstrip("/")


def number(text: str | None, name: str) -> int | None:
    """A cursor; 422 for what is none."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise HTTPException(422, f"{name}: take the one that the page before this one ended with.")
    return int(text)
