"""/easel/v1/jobs: submit work of any kind and get an id at once; look, cancel, move, retry; fetch what came of it.

With logins, a user changes only jobs of that name; everybody may look at all. A job that has an Idempotency-Key is
queued once, however often it is sent.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from modules.core.errors import BadRequest, NotFound
from modules.jobs.line import PRIORITIES
from modules.web.api.easel import submit, views
from modules.web.api.easel.views import JobDetail, JobView, ResultView
from modules.web.api.schemas import Schema, Whole

if TYPE_CHECKING:
    from modules.jobs.queue import Job
    from modules.web.services import Services

State = Literal["pending", "running", "done", "failed", "cancelled"]


class JobPage(Schema):
    jobs: list[JobView]
    cursor: str | None = Field(description="Ask with it for the next page; null: this is the last one.")


class JobChange(Schema):
    """What shall change; fields that are left out stay."""

    priority: Annotated[Whole, Field(ge=PRIORITIES[0], le=PRIORITIES[-1])] | None = None
    before: str | None = Field(None, description="The id of a waiting job: run right before it, with its priority.")
    last: bool = Field(False, description="Run after all others of the same priority.")


def routes(services: Services) -> APIRouter:
    """Jobs."""
    router = APIRouter(tags=["jobs"])

    @router.post("/jobs", status_code=201, response_model=JobDetail, responses={200: {"model": JobDetail}})
    async def submit_job(
        body: Annotated[submit.Body, Body()],
        request: Request,
        response: Response,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> JobDetail:
        """Queue work. The answer has the job's id, and its address in `Location`; 200 when the key was used before."""
        owner = request.state.user
        id = submit.id_of(idempotency_key, owner) if idempotency_key else str(uuid.uuid4())
        known = idempotency_key is not None and _exists(services, id)
        await run_in_threadpool(_queued, services, body, id, owner)
        response.status_code = 200 if known else 201
        response.headers["Location"] = f"{views.root(request)}{views.ROOT}/jobs/{id}"
        return views.detail(services.queue.get(id), services.queue)

    @router.get("/jobs", response_model=JobPage)
    def list_jobs(
        state: Annotated[list[State], Query()] = [],  # noqa: B006  (FastAPI copies it)
        kind: Annotated[list[str], Query()] = [],  # noqa: B006
        owner: str | None = None,
        order: Literal["newest", "oldest"] = "newest",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: str | None = None,
    ) -> JobPage:
        """Jobs in the order of submission."""
        found = services.queue.list(
            states=state,
            kinds=kind,
            owner=owner,
            limit=limit + 1,
            newest_first=order == "newest",
            beyond=views.number(cursor, "cursor"),
        )
        shown, more = found[:limit], len(found) > limit
        order_ = {id: index + 1 for index, id in enumerate(services.queue.waiting())}
        return JobPage(
            jobs=[views.job(each, services.queue, order_) for each in shown],
            cursor=str(shown[-1].number) if more else None,
        )

    _add_one(router, services)
    _add_results(router, services)
    return router


def _add_one(router: APIRouter, services: Services) -> None:
    queue = services.queue

    @router.get("/jobs/{id}", response_model=JobDetail)
    def get_job(id: str) -> JobDetail:
        """A job as it is now."""
        return views.detail(queue.get(id), queue)

    @router.patch("/jobs/{id}", response_model=JobDetail)
    def change_job(id: str, body: JobChange, request: Request) -> JobDetail:
        """Change the place of a job that waits."""
        own(services, id, request)
        if body.before is not None and body.last:
            raise BadRequest("before and last say different things: give one of them.", field="last")
        if body.priority is not None:
            queue.line.prioritize(id, body.priority)
        if body.before is not None:
            own(services, body.before, request)
            queue.line.move(id, before=body.before)
        elif body.last:
            queue.line.move(id)
        return views.detail(queue.get(id), queue)

    @router.post("/jobs/{id}/cancel", response_model=JobDetail)
    def cancel_job(id: str, request: Request) -> JobDetail:
        """Take a waiting job out of the line; a running one ends with what there is. One that has ended stays so."""
        own(services, id, request)
        queue.interrupt(id)
        return views.detail(queue.get(id), queue)

    @router.delete("/jobs/{id}", response_model=JobDetail)
    def delete_job(id: str, request: Request) -> JobDetail:
        """The same as cancel."""
        return cancel_job(id, request)

    @router.post("/jobs/{id}/retry", status_code=201, response_model=JobDetail)
    def retry_job(id: str, request: Request, response: Response) -> JobDetail:
        """The same work once more, with the same seeds, as a new job."""
        own(services, id, request)
        new = queue.retry(id)
        response.headers["Location"] = f"{views.root(request)}{views.ROOT}/jobs/{new}"
        return views.detail(queue.get(new), queue)


def _add_results(router: APIRouter, services: Services) -> None:
    @router.get("/jobs/{id}/result", response_model=ResultView)
    def get_result(id: str, request: Request, pictures: Literal["url", "base64"] = "url") -> ResultView:
        """What came of a job that is done: 409 while it is not, the job's own error when it failed."""
        return views.result(_done(services, id), inline=pictures == "base64", root=views.root(request))

    @router.get("/jobs/{id}/pictures/{index}", response_class=Response, responses={200: {"content": {"image/*": {}}}})
    def get_picture(id: str, index: int) -> Response:
        """A picture as it was written."""
        found = (_done(services, id).result or {}).get("pictures", [])
        if not 0 <= index < len(found):
            raise NotFound("Picture", str(index), hint=f"The job has {len(found)}, counted from 0.")
        facts: dict[str, Any] = found[index]
        return Response(views.content(facts), media_type=views.media_type(facts["path"]))


def own(services: Services, id: str, request: Request) -> Job:
    """The job, if whoever asks may change it. Raises NotFound, HTTPException(403)."""
    job = services.queue.get(id)
    user = request.state.user
    if user and job.owner != user:
        raise HTTPException(403, f"Job {id} belongs to somebody else.")
    return job


def _queued(services: Services, body: submit.Body, id: str, owner: str) -> None:
    try:
        submit.queued(services, body, id, owner)
    except BadRequest as error:
        if error.field != "force_task_id":
            raise
        message = "Idempotency-Key: another request came with this key before. Take a new one for new work."
        raise BadRequest(message, field="Idempotency-Key") from error


def _exists(services: Services, id: str) -> bool:
    try:
        services.queue.get(id)
    except NotFound:
        return False
    return True


def _done(services: Services, id: str) -> Job:
    job = services.queue.get(id)
    if not job.final:
        raise HTTPException(409, f"Job {id} is {job.state}: ask again when it is done.")
    if job.state != "done":
        raise HTTPException(409, job.error or f"Job {id} was cancelled.")
    return job
