"""Waiting for a job on behalf of a client that may hang up. Called by the synchronous routes.

A job goes on without its client, as in A1111, and its pictures are kept. With the header `X-Cancel-On-Disconnect: 1`
the client asks for the contrary: a job of its own that waits is then cancelled, one that runs is interrupted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import Request

if TYPE_CHECKING:
    from modules.jobs.queue import Job, Queue

HEADER = "x-cancel-on-disconnect"
_YES = frozenset({"1", "true", "yes"})


async def finished(queue: Queue, id: str, request: Request) -> Job:
    """The job once it has ended. Raises as `Queue.finished` does."""
    if request.headers.get(HEADER, "").lower() not in _YES:
        return await queue.finished(id)
    ended = asyncio.ensure_future(queue.finished(id))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done() and queue.get(id).owner == request.state.user:
            queue.interrupt(id)
        return await ended
    finally:
        gone.cancel()
        ended.cancel()


async def _gone(request: Request) -> None:
    """Returns when the client has hung up; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
