"""How far the work is and how to stop it: /sdapi/v1/progress, /interrupt, /skip, and /internal/* for pages."""

from __future__ import annotations

import base64
import io
import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from modules.core.errors import NotFound
from modules.web.api import schemas

if TYPE_CHECKING:
    from modules.jobs.progress import Preview, Progress
    from modules.web.services import Services

IDLE: dict[str, Any] = {
    "skipped": False,
    "interrupted": False,
    "stopping_generation": False,
    "job": "",
    "job_count": 0,
    "job_timestamp": "0",
    "job_no": 0,
    "sampling_step": 0,
    "sampling_steps": 0,
}


def routes(services: Services) -> APIRouter:
    """What runs now, whoever asked for it, as in A1111."""
    router = APIRouter()

    @router.get("/progress", response_model=schemas.ProgressResponse)
    def progressapi(skip_current_image: bool = False) -> schemas.ProgressResponse:
        """Asking for the picture makes previews worth while; `skip_current_image` does not."""
        now = services.queue.current()
        if now is None:
            return schemas.ProgressResponse(progress=0, eta_relative=0, state=IDLE)
        image = None
        if not skip_current_image and services.options.snapshot()["live_previews_enable"]:
            services.queue.watch(now.job_id)
            image = _encoded(now.preview, services)[1] if now.preview else None
        return schemas.ProgressResponse(
            progress=now.fraction,
            eta_relative=now.eta or 0,
            state=_state(now),
            current_image=image,
            textinfo=now.text or None,
        )

    @router.post("/interrupt")
    def interruptapi() -> dict[str, Any]:
        """End the job that runs now; what is there of its pictures is finished."""
        services.queue.interrupt()
        return {}

    @router.post("/skip")
    def skip() -> None:
        """End the batch that runs now and go on with the next."""
        services.queue.skip()

    return router


def internal(services: Services) -> APIRouter:
    """What the JavaScript of pages and extensions asks for, with or without --api."""
    router = APIRouter()

    @router.get("/internal/ping")
    def ping() -> dict[str, Any]:
        return {}

    @router.post("/internal/progress", response_model=schemas.TaskProgressResponse)
    def progressapi(body: schemas.TaskProgressRequest) -> schemas.TaskProgressResponse:
        """The progress of one job, with its preview when it is not the one that the client has."""
        try:
            now = services.queue.progress(body.id_task or "")
        except NotFound:
            return _no_task("Waiting...")
        if now.state != "running":
            queued = now.state == "pending"
            text = f"In queue: {now.queue_position}" if queued else now.text or "Finished"
            return _no_task(text, queued=queued, completed=not queued)
        shown = _preview(now, body, services)
        return schemas.TaskProgressResponse(
            active=True,
            queued=False,
            completed=False,
            progress=now.fraction,
            eta=now.eta,
            live_preview=shown,
            id_live_preview=now.preview.id if now.preview and shown else body.id_live_preview,
            textinfo=now.text or None,
        )

    return router


def _no_task(text: str, *, queued: bool = False, completed: bool = False) -> schemas.TaskProgressResponse:
    return schemas.TaskProgressResponse(
        active=False, queued=queued, completed=completed, id_live_preview=-1, textinfo=text
    )


def _preview(now: Progress, body: schemas.TaskProgressRequest, services: Services) -> str | None:
    """A data: URL when previews are on, wanted, and newer than the client's."""
    if not body.live_preview or not services.options.snapshot()["live_previews_enable"]:
        return None
    services.queue.watch(now.job_id)
    if now.preview is None or now.preview.id == body.id_live_preview:
        return None
    format, data = _encoded(now.preview, services)
    return f"data:image/{format};base64,{data}"


def _state(now: Progress) -> dict[str, Any]:
    """A1111's state object."""
    started = time.strftime("%Y%m%d%H%M%S", time.localtime(now.started)) if now.started else "0"
    return IDLE | {
        "skipped": now.skipped,
        "interrupted": now.interrupted,
        "job": now.job_id,
        "job_count": now.batches,
        "job_timestamp": started,
        "job_no": now.batch,
        "sampling_step": now.step,
        "sampling_steps": now.steps,
    }


def _encoded(preview: Preview, services: Services) -> tuple[str, str]:
    """(format, base64) of a preview, in the format of the option live_previews_image_format."""
    format = services.options.snapshot()["live_previews_image_format"]
    target = io.BytesIO()
    preview.image.convert("RGB").save(target, format=format)
    return format, base64.b64encode(target.getvalue()).decode("ascii")
