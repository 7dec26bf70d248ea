"""Following jobs: one asynchronous loop that gives what happens as it happens. Called by the SSE and WebSocket routes.

Changes of state come from the durable record (`jobs.events`) and carry its numbers: a client that comes back names the
last one it saw and misses none. Progress comes from memory, has no number and is not repeated.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from modules.core.errors import NotFound
from modules.core.types import JsonObject
from modules.jobs.events import FINAL, Event
from modules.web.api.easel import views

if TYPE_CHECKING:
    from modules.jobs.progress import Preview, Progress
    from modules.web.services import Services

POLL_SECONDS = 0.1
QUIET_SECONDS = 15.0
WATCH_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """Something to tell a client. number: None for what is not repeated; name "": only that the line is open."""

    name: str
    data: JsonObject
    number: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wish:
    """What a client follows. job_id, owner: None = all; after: the number of the last event it has; previews: pictures
    of the work so far (base64) with the progress; root: the path the server is reached below.
    """

    job_id: str | None = None
    owner: str | None = None
    after: int = 0
    previews: bool = False
    root: str = ""


class _Looks:
    """What of the progress a client has seen, by job."""

    def __init__(self, services: Services, wish: Wish, clock: Callable[[], float]) -> None:
        self._services, self._wish, self._clock = services, wish, clock
        self._steps: dict[str, tuple[int, int, str]] = {}
        self._previews: dict[str, int] = {}
        self._watched = float("-inf")

    def news(self, running: list[str]) -> list[Told]:
        """Progress that differs from what was told before; looking asks for previews about once a second."""
        if self._wish.previews and self._clock() - self._watched >= WATCH_SECONDS:
            self._watched = self._clock()
            for id in running:
                self._services.queue.watch(id)
        found = (self._one(id) for id in running)
        return [told for told in found if told is not None]

    def forget(self, id: str) -> None:
        self._steps.pop(id, None)
        self._previews.pop(id, None)

    def _one(self, id: str) -> Told | None:
        now = self._services.queue.live(id)
        if now is None:
            return None
        preview = now.preview if self._wish.previews else None
        state = (now.batch, now.step, now.text)
        fresh = preview is not None and preview.id != self._previews.get(id)
        if self._steps.get(id) == state and not fresh:
            return None
        self._steps[id] = state
        data = _progress(now)
        if preview is not None and fresh:
            self._previews[id] = preview.id
            data["preview"] = _encoded(preview, self._services)
        return Told(name="progress", data=data)


async def follow(
    services: Services,
    wish: Wish,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Told]:
    """What happens, beginning behind `wish.after`; of one job until it has ended. Raises `StoreError`."""
    queue, looks = services.queue, _Looks(services, wish, clock)
    seen, number, spoken = -1, wish.after, clock()
    while True:
        changes = queue.changes
        news: list[Told] = []
        if changes != seen:
            seen = changes
            for event in queue.events.after(number, job_id=wish.job_id, owner=wish.owner):
                number = event.number
                if event.type in FINAL:
                    looks.forget(event.job_id)
                news.append(_told(services, event, wish.root))
        ended = bool(wish.job_id and news and news[-1].name in FINAL)
        if not ended:
            news += looks.news(queue.running(job_id=wish.job_id, owner=wish.owner))
        for each in news:
            spoken = clock()
            yield each
            await asyncio.sleep(0)  # of a thousand at once, who has hung up is sent no more
        if ended:
            return
        if clock() - spoken >= QUIET_SECONDS:
            spoken = clock()
            yield Told(name="", data={})
        await sleep(POLL_SECONDS)


def over(services: Services, wish: Wish) -> bool:
    """Whether the job has ended and the client has seen it. Raises `NotFound`."""
    if wish.job_id is None:
        return False
    job = services.queue.get(wish.job_id)
    return job.final and not services.queue.events.after(wish.after, job_id=wish.job_id, limit=1)


def _told(services: Services, event: Event, root: str) -> Told:
    data: JsonObject = {"job": event.job_id, "type": event.type, "at": event.at}
    try:
        job = services.queue.get(event.job_id)
    except NotFound:  # it was forgotten meanwhile
        return Told(name=event.type, data=data, number=event.number)
    data |= {"kind": job.kind, "owner": job.owner}
    if event.type == "queued" and job.state == "pending":
        data["position"] = services.queue.position(job.id)
    if event.type == "done" and job.state == "done":
        data["result"] = views.result(job, root=root).model_dump(exclude={"info"})
    if event.type == "failed" and job.error is not None:
        data["error"] = {"type": job.error_type, "message": job.error, "field": job.error_field}
    return Told(name=event.type, data=data, number=event.number)


def _progress(now: Progress) -> JsonObject:
    names = ("step", "steps", "batch", "batches", "eta", "text")
    facts = {name: getattr(now, name) for name in names}
    return {"job": now.job_id, "type": "progress", "progress": now.fraction, **facts}


def _encoded(preview: Preview, services: Services) -> str:
    """A data: URL, in the format of the option live_previews_image_format."""
    format = services.options.snapshot()["live_previews_image_format"]
    target = io.BytesIO()
    preview.image.convert("RGB").save(target, format=format)
    return f"data:image/{format};base64,{base64.b64encode(target.getvalue()).decode('ascii')}"
