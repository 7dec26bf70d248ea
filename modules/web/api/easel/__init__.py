"""/easel/v1: what A1111's interface has no counterpart of. `routes` is what `modules.web.api` includes.

jobs      /easel/v1/jobs: submit, list, look, cancel, move, retry, results         (submit: from bodies to jobs)
queue     /easel/v1/queue: what waits, in its order; pause and resume
events    /easel/v1/events and /easel/v1/jobs/{id}/events, /ws: what happens, as it happens        (stream: the loop)
history   /easel/v1/history: search, star, trash
extensions  /easel/v1/extensions: installed, available, the manager's acts
webhooks  /easel/v1/webhooks: what was sent and what still waits to be
views     jobs, results and pictures as JSON
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from modules.web.api.easel import events, extensions, history, jobs, queue, webhooks

if TYPE_CHECKING:
    from modules.web.services import Services


def routes(services: Services) -> APIRouter:
    """Everything that answers over HTTP; the caller guards it."""
    router = APIRouter()
    for built in (jobs, queue, events, history, extensions, webhooks):
        router.include_router(built.routes(services))
    return router


def sockets(services: Services) -> APIRouter:
    """The WebSockets; only the gate before the whole program stands before them."""
    return events.sockets(services)
