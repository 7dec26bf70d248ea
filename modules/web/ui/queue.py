"""The Queue tab: what runs, what waits, what failed; drawn by assets/queue.js. Built by `page`; the queue is `jobs`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.web.ui import markup
from modules.web.ui.island import island

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.jobs.queue import Job
    from modules.web.services import Services
    from modules.web.ui.media import Media

ENDED = ("done", "failed", "cancelled")
SHOWN = 40
"""Ended jobs on a page."""
WAITING_AT_MOST = 500
PICTURES_SHOWN = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """What the tab asks: every answer is JSON."""

    services: Services
    media: Media

    def answers(self) -> dict[str, Callable[[JsonObject], Any]]:
        """For `island`."""
        return {"state": self.state, "ended": self.ended, "do": self.act}

    def state(self, asked: JsonObject) -> JsonObject:
        """What runs and waits now, in the order in which it will run; `changes` tells whether anything happened."""
        queue = self.services.queue
        running = queue.list(states=("running",), newest_first=False)
        waiting = {job.id: job for job in queue.list(states=("pending",), newest_first=False, limit=WAITING_AT_MOST)}
        order = [id for id in queue.waiting() if id in waiting]
        return {
            "changes": queue.changes,
            "paused": queue.line.paused,
            "running": [self._shown(job) | self._progress(job, asked) for job in running],
            "waiting": [self._shown(waiting[id]) for id in order],
        }

    def ended(self, asked: JsonObject) -> JsonObject:
        """Jobs that ended, newest first: {"states": […], "beyond": number of the last one seen}."""
        states = tuple(state for state in asked.get("states") or ENDED if state in ENDED)
        jobs = self.services.queue.list(states=states or ENDED, limit=SHOWN + 1, beyond=asked.get("beyond"))
        more = len(jobs) > SHOWN
        shown = jobs[:SHOWN]
        beyond = shown[-1].number if more else None
        return {"jobs": [self._shown(job) | self._outcome(job) for job in shown], "beyond": beyond}

    def act(self, asked: JsonObject) -> JsonObject:
        """{"act": name, "id": job}: pause, resume, cancel, interrupt, skip, retry, first, up, down, last."""
        queue, id = self.services.queue, str(asked.get("id") or "")
        acts: dict[str, Callable[[], object]] = {
            "pause": queue.line.pause,
            "resume": queue.line.resume,
            "cancel": lambda: queue.cancel(id),
            "interrupt": lambda: queue.interrupt(id),
            "skip": lambda: queue.skip(id),
            "retry": lambda: queue.retry(id),
            "clear": self._clear,
            **{where: functools.partial(self._move, id, where) for where in ("first", "up", "down", "last")},
        }
        acts[asked["act"]]()
        return self.state(asked)

    def _clear(self) -> None:
        for id in self.services.queue.waiting():
            self.services.queue.cancel(id)

    def _move(self, id: str, where: str) -> None:
        order = self.services.queue.waiting()
        if id not in order:
            return
        place = order.index(id)
        others = [other for other in order if other != id]
        target = {"first": 0, "up": max(0, place - 1), "down": place + 1, "last": len(others)}[where]
        self.services.queue.line.move(id, before=others[target] if target < len(others) else None)

    def _shown(self, job: Job) -> JsonObject:
        request = asked_of(job.request)
        return {
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "number": job.number,
            "owner": job.owner,
            "created": job.created,
            "started": job.started,
            "finished": job.finished,
            "title": title(job.kind, request),
            "about": about(request),
        }

    def _progress(self, job: Job, asked: JsonObject) -> JsonObject:
        now = self.services.queue.progress(job.id)
        if asked.get("preview") and self.services.options.snapshot()["live_previews_enable"]:
            self.services.queue.watch(job.id)
        picture = ""
        if now.preview is not None and now.preview.id != asked.get("seen"):
            picture = markup.data_url(
                now.preview.image, str(self.services.options.snapshot()["live_previews_image_format"])
            )
        return {
            "fraction": now.fraction,
            "words": markup.progress_words(now),
            "preview": picture,
            "preview_id": now.preview.id if now.preview else None,
        }

    def _outcome(self, job: Job) -> JsonObject:
        result = job.result or {}
        pictures = [Path(str(each.get("path"))) for each in result.get("pictures") or () if each.get("path")]
        return {
            "error": job.error or "",
            "seconds": job.finished - job.started if job.finished and job.started else None,
            "pictures": [address for path in pictures[:PICTURES_SHOWN] if (address := self.media.small(path, side=96))],
            "count": len(pictures),
            "comments": [str(comment) for comment in result.get("comments") or ()],
        }


def asked_of(row: JsonObject) -> JsonObject:
    """The request in a job's row: rows of pictures have it beside the request with real seeds."""
    inner = row.get("request")
    return inner if isinstance(inner, dict) else row


def title(kind: str, request: JsonObject) -> str:
    """What a job is called in the list: its prompt, or what it works on."""
    if kind == "merge":
        names = (request.get(f"{which}_model_name") for which in ("primary", "secondary", "tertiary"))
        return " + ".join(str(name) for name in names if name)
    inner = request.get("request")
    prompt = request.get("prompt") or (inner.get("prompt") if isinstance(inner, dict) else "")
    return str(prompt or "")


def about(request: JsonObject) -> str:
    """Numbers of a job in a line."""
    parts = []
    if request.get("width") and request.get("height"):
        parts.append(f"{request['width']} × {request['height']}")
    if request.get("steps") and not isinstance(request["steps"], dict):
        parts.append(f"{request['steps']} steps")
    if request.get("sampler_name"):
        parts.append(str(request["sampler_name"]))
    count = int(request.get("n_iter") or 1) * int(request.get("batch_size") or 1)
    if count > 1:
        parts.append(f"{count} pictures")
    return " · ".join(parts)


def build(services: Services, media: Media) -> Any:
    """Make the island, inside the tab that the caller has opened."""
    return island("queue", "queue_board", Board(services=services, media=media).answers())
