"""/easel/v1/events and /easel/v1/jobs/{id}/events: server-sent events; the same ending with /ws: a WebSocket.

Each message is an object with "job" and "type": queued, started, progress, done, failed or cancelled. Server-sent
events carry the record's number as their id, so that a browser's EventSource goes on where it stopped
(`Last-Event-ID`); over a WebSocket the number is the field "number", to be given back as `?after=`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, WebSocket, WebSocketDisconnect
from starlette.responses import StreamingResponse

from modules.core.errors import EaselError
from modules.web.api import errors
from modules.web.api.easel import stream, views
from modules.web.api.easel.stream import Told, Wish

if TYPE_CHECKING:
    from modules.web.services import Services

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Previews = Annotated[bool, Query(description="With pictures of the work so far, as data: URLs.")]
After = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="The last event you have; default: Last-Event-ID.")]
LastEventId = Annotated[str | None, Header()]
Stream: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}},
    204: {"description": "The job has ended and you know it."},
}


def routes(services: Services) -> APIRouter:
    """Server-sent events."""
    router = APIRouter(tags=["events"])

    @router.get("/jobs/{id}/events", response_class=StreamingResponse, responses=Stream)
    async def follow_job(
        id: str, request: Request, previews: Previews = False, after: After = None, last_event_id: LastEventId = None
    ) -> Response:
        """One job, from its beginning (or the event after the one you have) to its end."""
        start = _number(after, last_event_id) or 0
        wish = Wish(job_id=id, after=start, previews=previews, root=views.root(request))
        if stream.over(services, wish):
            return Response(status_code=204)  # an EventSource does not come back after this
        return StreamingResponse(_written(services, wish), media_type="text/event-stream", headers=HEADERS)

    @router.get("/events", response_class=StreamingResponse, responses={200: Stream[200]})
    async def follow_all(
        request: Request,
        previews: Previews = False,
        after: After = None,
        owner: str | None = None,
        last_event_id: LastEventId = None,
    ) -> Response:
        """All jobs, or those of one owner, from now on (or from the event after the one you have)."""
        start = _number(after, last_event_id)
        wish = Wish(
            owner=owner,
            after=services.queue.events.last() if start is None else start,
            previews=previews,
            root=views.root(request),
        )
        return StreamingResponse(_written(services, wish), media_type="text/event-stream", headers=HEADERS)

    return router


def sockets(services: Services) -> APIRouter:
    """The same over WebSockets."""
    router = APIRouter()

    @router.websocket("/jobs/{id}/ws")
    async def job_socket(socket: WebSocket, id: str, previews: bool = False, after: int = 0) -> None:
        root = str(socket.scope.get("root_path") or "").rstrip("/")
        await _sent(services, socket, Wish(job_id=id, after=after, previews=previews, root=root))

    @router.websocket("/events/ws")
    async def all_socket(
        socket: WebSocket, previews: bool = False, after: int | None = None, owner: str | None = None
    ) -> None:
        root = str(socket.scope.get("root_path") or "").rstrip("/")
        start = services.queue.events.last() if after is None else after
        await _sent(services, socket, Wish(owner=owner, after=start, previews=previews, root=root))

    return router


def _number(after: int | None, header: str | None) -> int | None:
    """Where a client stopped; None when it does not say, or nothing that we said."""
    if after is not None:
        return after
    return int(header) if header and header.isascii() and header.isdigit() and len(header) <= 18 else None


async def _written(services: Services, wish: Wish) -> AsyncIterator[str]:
    """The stream as text; Starlette ends it when the client has hung up."""
    async for told in stream.follow(services, wish):
        yield _lines(told)


def _lines(told: Told) -> str:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation"""
    if not told.name:
        return ": still here\n\n"
    id = "" if told.number is None else f"id: {told.number}\n"
    return f"{id}event: {told.name}\ndata: {errors.dumps(told.data)}\n\n"


async def _sent(services: Services, socket: WebSocket, wish: Wish) -> None:
    await socket.accept()
    try:
        if stream.over(services, wish):
            return await socket.close()
    except EaselError as error:
        return await socket.close(code=4404, reason=str(error)[:120])
    talking = asyncio.ensure_future(_talk(services, socket, wish))
    listening = asyncio.ensure_future(_listen(socket))
    try:
        await asyncio.wait({talking, listening}, return_when=asyncio.FIRST_COMPLETED)
        if talking.done():
            talking.result()
            await socket.close()
    except (WebSocketDisconnect, RuntimeError):  # it hung up while we spoke
        pass
    finally:
        for task in (talking, listening):
            task.cancel()


async def _talk(services: Services, socket: WebSocket, wish: Wish) -> None:
    async for told in stream.follow(services, wish):
        if told.name:
            await socket.send_text(errors.dumps({"number": told.number, **told.data}))


async def _listen(socket: WebSocket) -> None:
    """Until the client hangs up; what it says is not for us."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
