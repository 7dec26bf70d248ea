"""/easel/v1/webhooks: what was sent to webhooks, what waits to be sent again, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from modules.web.api.easel import views
from modules.web.api.schemas import Schema

if TYPE_CHECKING:
    from modules.web.services import Services


class DeliveryView(Schema):
    """A message to a webhook. Times are unix seconds."""

    number: int
    job: str
    event: int
    type: str
    at: float
    url: str
    state: str = Field(description="waiting, sent or failed")
    attempts: int
    due: float = Field(description="When it is tried next; of one that ended: when that was.")
    answer: str = Field(description="What became of the last attempt.")


class DeliveryPage(Schema):
    deliveries: list[DeliveryView]
    cursor: str | None


def routes(services: Services) -> APIRouter:
    """Looking after webhooks; they are asked for with a job."""
    router = APIRouter(tags=["webhooks"])

    @router.get("/webhooks", response_model=DeliveryPage)
    def list_deliveries(
        request: Request,
        job: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: str | None = None,
    ) -> DeliveryPage:
        """Newest first. With logins: of the user's own jobs."""
        beyond = views.number(cursor, "cursor")
        found = services.webhooks.hooks.list(
            job_id=job, limit=limit + 1, beyond=beyond, owner=request.state.user or None
        )
        names = ("number", "event", "type", "at", "url", "state", "attempts", "due", "answer")
        shown = [
            DeliveryView(job=each.job_id, **{name: getattr(each, name) for name in names}) for each in found[:limit]
        ]
        return DeliveryPage(deliveries=shown, cursor=str(shown[-1].number) if len(found) > limit else None)

    return router
