"""/metrics: what Prometheus collects, in its text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from modules.jobs.tally import BOUNDS, Histogram

if TYPE_CHECKING:
    from modules.web.services import Services

TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[Mapping[str, str], float]


class Requests:
    """Answers since the start, by method and status."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.answers: Counter[tuple[str, int]] = Counter()

    def add(self, method: str, status: int) -> None:
        with self._guard:
            known = method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") else "other"
            self.answers[known, status] += 1


def routes(services: Services, requests: Requests) -> APIRouter:
    """Numbers for a collector."""
    router = APIRouter(tags=["service"])
    started = time.time()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Jobs, queue, requests and memory."""
        return Response("".join(_lines(services, requests, started)), media_type=TYPE)

    return router


def _lines(services: Services, requests: Requests, started: float) -> Iterator[str]:
    tally, queue = services.tally, services.queue
    yield from _family("easel_start_time_seconds", "gauge", "Unix time of the start.", [({}, started)])
    info = [({"version": services.version}, 1.0)]
    yield from _family("easel_info", "gauge", "The program.", info)
    ended = [({"kind": kind, "state": state}, float(count)) for (kind, state), count in sorted(tally.ended.items())]
    yield from _family("easel_jobs_ended_total", "counter", "Jobs that ended since the start.", ended)
    pictures = [({"kind": kind}, float(count)) for kind, count in sorted(tally.pictures.items())]
    yield from _family("easel_pictures_total", "counter", "Pictures of jobs that are done.", pictures)
    lengths = [({"state": "pending"}, float(len(queue.waiting()))), ({"state": "running"}, float(len(queue.running())))]
    yield from _family("easel_queue_jobs", "gauge", "Jobs that wait and run now.", lengths)
    yield from _family("easel_queue_paused", "gauge", "1: no job is taken.", [({}, float(queue.line.paused))])
    yield from _histograms("easel_job_seconds", "Seconds of work on a job.", tally.worked)
    yield from _histograms("easel_job_wait_seconds", "Seconds that a job waited for its turn.", tally.waited)
    answers = [
        ({"method": method, "status": str(status)}, float(count))
        for (method, status), count in sorted(requests.answers.items())
    ]
    yield from _family("easel_http_answers_total", "counter", "Answers over HTTP; 499: the client hung up.", answers)
    yield from _memory(services)


def _memory(services: Services) -> Iterator[str]:
    found = services.memory()
    resident: list[Sample] = [({}, float(found["ram"].get("used", 0)))]
    yield from _family("easel_resident_memory_bytes", "gauge", "Memory of the process.", resident)
    device = found["cuda"].get("system")
    if device:
        values = [({"kind": name}, float(device[name])) for name in ("used", "free")]
        yield from _family("easel_device_memory_bytes", "gauge", "Memory of the accelerator.", values)


def _histograms(name: str, help: str, found: Mapping[str, Histogram]) -> Iterator[str]:
    yield f"# HELP {name} {help}\n# TYPE {name} histogram\n"
    for kind, each in sorted(found.items()):
        sums = list(itertools.accumulate(each.counts))
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), sums, strict=True):
            yield _sample(f"{name}_bucket", {"kind": kind, "le": bound}, count)
        yield _sample(f"{name}_sum", {"kind": kind}, each.total)
        yield _sample(f"{name}_count", {"kind": kind}, sums[-1])


def _family(name: str, type: str, help: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {help}\n# TYPE {name} {type}\n"
    for labels, value in samples:
        yield _sample(name, labels, value)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    written = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{written}}} {value}\n" if written else f"{name} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
