"""/easel/v1/queue: what waits, in the order in which it will run; pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import Field

from modules.core.errors import NotFound
from modules.web.api.easel import views
from modules.web.api.easel.views import JobView
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.services import Services

MOST = 1000


class QueueView(Schema):
    paused: bool
    running: list[JobView]
    waiting: list[JobView] = Field(description=f"In the order in which they will run; the first {MOST}.")
    count: int = Field(description="How many wait.")


def routes(services: Services) -> APIRouter:
    """The line."""
    router = APIRouter(tags=["jobs"])
    queue = services.queue

    @router.get("/queue", response_model=QueueView)
    def get_queue() -> QueueView:
        """What runs and what waits."""
        order = queue.waiting()
        positions = {id: index + 1 for index, id in enumerate(order)}
        waiting = []
        for id in order[:MOST]:
            try:
                waiting.append(views.job(queue.get(id), queue, positions))
            except NotFound:  # it ended and was forgotten meanwhile
                continue
        running = [views.job(job, queue, positions) for job in queue.list(states=("running",), newest_first=False)]
        return QueueView(paused=queue.line.paused, running=running, waiting=waiting, count=len(order))

    @router.post("/queue/pause", response_model=QueueView)
    def pause() -> QueueView:
        """Take no more jobs; what runs goes on. It holds over a restart, until resume."""
        queue.line.pause()
        return get_queue()

    @router.post("/queue/resume", response_model=QueueView)
    def resume() -> QueueView:
        """Go on."""
        queue.line.resume()
        return get_queue()

    return router
