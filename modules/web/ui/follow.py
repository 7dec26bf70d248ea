"""Following a job from the page: one asynchronous loop that reads the queue's progress until the job has ended.

Called by the txt2img tab. It promises to change nothing: whoever stops listening leaves the job running.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.jobs.progress import Progress
    from modules.jobs.queue import Job, Queue

FINAL_STATES = frozenset({"done", "failed", "cancelled"})
POLL_SECONDS = 0.2
WATCH_SECONDS = 1.0


async def follow(
    queue: Queue,
    job_id: str,
    *,
    watch: bool,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Progress]:
    """Progress records of a job as they change; the last one has a final state. NotFound for an unknown job.

    watch=True tells the queue about once a second that somebody looks, so that previews are made.
    """
    seen: Progress | None = None
    watched = float("-inf")
    while True:
        if watch and clock() - watched >= WATCH_SECONDS:
            queue.watch(job_id)
            watched = clock()
        progress = queue.progress(job_id)
        if progress != seen:
            yield progress
            seen = progress
        if progress.state in FINAL_STATES:
            return
        await sleep(POLL_SECONDS)


def newest(queue: Queue, *, kind: str, owner: str) -> Job | None:
    """The job that a page just opened should show: the running one, else a waiting one, else the last that ended."""
    for states in (("running",), ("pending",), tuple(sorted(FINAL_STATES - {"cancelled"}))):
        for job in queue.list(states=states, owner=owner, limit=20):
            if job.kind == kind:
                return job
    return None
