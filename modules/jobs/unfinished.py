"""The folders in which running jobs keep how far they are (`generate.recall` writes there): gone when a job has ended.

Called by the composition root.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from modules.jobs.queue import Queue
from modules.jobs.table import Job


class Unfinished:
    """One folder a job, by its id, below `folder`. What cannot be removed stays; nothing is raised."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def drop(self, job: Job) -> None:
        """Forget a job that has ended."""
        place = self.folder / job.id
        if place.exists():
            shutil.rmtree(place, ignore_errors=True)

    def tidy(self, queue: Queue) -> None:
        """Forget those of jobs that ended without this process, or are in the queue no more."""
        left = [place.name for place in self.folder.iterdir()] if self.folder.is_dir() else []
        waiting = {job.id for job in queue.list(states=("pending", "running"), limit=1_000_000)} if left else set()
        for name in set(left) - waiting:
            shutil.rmtree(self.folder / name, ignore_errors=True)
