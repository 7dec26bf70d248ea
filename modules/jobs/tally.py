"""Counting jobs since the start, for whoever watches a service. Filled by the queue (`on_ended`), read by /metrics."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

from modules.jobs.table import Job

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Upper ends of the histogram's classes in seconds; a last one is open."""


class Histogram:
    """How often something took how long."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Tally:
    """Safe to use from any thread; each field is by kind of job. ended: by (kind, state); pictures: of jobs that are
    done; worked, waited: seconds at work, and in the queue before.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.pictures: Counter[str] = Counter()
        self.worked: dict[str, Histogram] = {}
        self.waited: dict[str, Histogram] = {}

    def add(self, job: Job) -> None:
        """A job has ended."""
        with self._guard:
            self.ended[job.kind, job.state] += 1
            self.pictures[job.kind] += len((job.result or {}).get("pictures", ()))
            if job.started is not None and job.finished is not None:
                self.worked.setdefault(job.kind, Histogram()).add(max(0.0, job.finished - job.started))
                self.waited.setdefault(job.kind, Histogram()).add(max(0.0, job.started - job.created))
