"""/healthz: whether the program answers, and what it could do now. For load balancers, without a login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.services import Services


class Health(Schema):
    status: Literal["ok", "stopped"] = Field(description="stopped: the worker has ended; restart Easel.")
    ready: bool = Field(description="A request for a picture would be worked on at once or after those before it.")
    engine: Literal["starting", "ready"] = Field(description="starting: libraries are being loaded.")
    model: Literal["loaded", "not loaded", "none"] = Field(
        description="not loaded: the first request loads it; none: there is no checkpoint."
    )
    queue: Literal["working", "idle", "paused"]


def routes(services: Services) -> APIRouter:
    """How the program is."""
    router = APIRouter(tags=["service"])

    @router.get("/healthz", response_model=Health, responses={503: {"model": Health}})
    def healthz(response: Response, ready: bool = False) -> Health:
        """503 when the program cannot work any more; with ?ready=true also while it cannot yet."""
        found = _health(services)
        if found.status != "ok" or (ready and not found.ready):
            response.status_code = 503
        return found

    return router


def _health(services: Services) -> Health:
    queue, state = services.queue, services.readiness()
    model: Literal["loaded", "not loaded", "none"]
    model = "loaded" if state.model else "not loaded" if services.library.checkpoints() else "none"
    paused = queue.line.paused
    return Health(
        status="ok" if queue.working else "stopped",
        ready=queue.working and state.engine and model != "none" and not paused,
        engine="ready" if state.engine else "starting",
        model=model,
        queue="paused" if paused else "working" if queue.current() else "idle",
    )
