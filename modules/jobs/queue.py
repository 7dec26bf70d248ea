"""The job queue: submit work, follow it, stop it, wait for it. Called by the composition root and by the web layer.

It promises that a submitted job is on the disk before `submit` returns; that it ends in exactly one final state; that
after a `kill -9` everything unfinished runs at the next start; and that reading progress never waits for the work.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from modules.core.errors import BadRequest, EaselError, NotFound
from modules.core.store import Store, StoreError
from modules.core.types import JsonObject
from modules.jobs.events import Events
from modules.jobs.lease import Lease, take, take_any
from modules.jobs.line import Line
from modules.jobs.progress import Abandoned, Control, Progress
from modules.jobs.table import Job, Jobs, Table
from modules.jobs.together import Together, perform_together
from modules.jobs.waiters import Waiters
from modules.jobs.worker import Outcome, Runner, Worker, perform

__all__ = ["Job", "Queue", "Runner"]

log = logging.getLogger(__name__)

KEEP = 10_000  # finished jobs that stay in the table
RETRY_SECONDS = 2.0  # after the disk refused
LEAVE_SECONDS = 2.0  # for a job that is told to leave its work: some steps of sampling
Ids: TypeAlias = "list[str]"  # inside a class that has a method `list`
ID = re.compile(r"[A-Za-z0-9_()\-][A-Za-z0-9._()\-]{0,127}")  # an id is also a folder's name


class Queue:
    """Jobs in the order of their `line`. Safe to use from any thread.

    runners: what does each kind of job; together: and several of them in one go. on_pruned is told which old finished
    jobs left the table, on_ended of each job that ended; on_change is called, and must return at once, when any job
    changed its state. now: unix seconds; clock: seconds that never go back.
    changes counts the changes of any job's state, so that a follower knows when to look at `events`.
    """

    def __init__(
        self,
        store: Store,
        runners: Mapping[str, Runner],
        *,
        workers: int = 1,
        keep: int = KEEP,
        together: Mapping[str, Together] = MappingProxyType({}),
        on_pruned: Callable[[Jobs], None] | None = None,
        on_ended: Sequence[Callable[[Job], None]] = (),
        on_change: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._table = Table(store)
        self.line = Line(store, self._changed)
        self.events = Events(store)
        self.changes = 0
        self._together = dict(together)
        self._on_ended = tuple(on_ended)
        self._on_change = on_change
        self._runners = dict(runners)
        self._workers = workers
        self._keep = keep
        self._on_pruned = on_pruned
        self._now = now
        self._clock = clock
        self._changing = threading.Condition()  # held while a job changes its state, so that a flag meets its job
        self._live: Mapping[str, Control] = {}  # what runs now, oldest first; swapped whole, read without a lock
        self._unsaved: Mapping[str, Job] = {}  # ended jobs that the disk refused; swapped whole
        self._waiters = Waiters()
        self._threads: tuple[Worker, ...] = ()
        self._lease: Lease | None = None
        self._stopped = False
        self._dead: BaseException | None = None

    def start(self) -> None:
        """Begin to work. Jobs that were running when their process died are pending again (failed the third time).

        Raises RuntimeError when it is at work already, `StoreError` when the disk fails.
        """
        if any(thread.is_alive() for thread in self._threads):
            raise RuntimeError("The queue is at work already.")
        self._lease = self._lease or take_any(self._store.path)
        self._recover(self._lease.number)
        self._stopped, self._dead = False, None
        self._threads = tuple(
            Worker(self._take, self._run, name=f"easel-worker-{index + 1}") for index in range(self._workers)
        )
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Take no more jobs and give what runs now `timeout` seconds (None: as long as it takes) to end.

        What is not done by then is left at its next step (a thread that is inside torch when Python ends aborts the
        process) and runs again at the next start. Whoever waits is told with an `EaselError`.
        """
        with self._changing:
            self._stopped = True
            self._changing.notify_all()
        deadline = None if timeout is None else self._clock() + timeout
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - self._clock()))
        unfinished = self._live
        for control in unfinished.values():
            control.abandon()
        for thread in self._threads:
            thread.join(LEAVE_SECONDS)
        self._waiters.tell_all()
        for id in unfinished:
            self._table.forgive(id)
        if self._lease is not None and not any(thread.is_alive() for thread in self._threads):
            self._lease.release()
            self._lease = None

    def submit(
        self,
        kind: str,
        request: JsonObject,
        *,
        id: str | None = None,
        owner: str = "",
        priority: int = 0,
        together: str | None = None,
    ) -> str:
        """Queue a job -> its id; it is on the disk when this returns. The same work with the same id is queued once.
        Waiting jobs of one kind with the same `together` may be made in one go.

        Raises `NotFound` for an unknown kind, `BadRequest(field="force_task_id")` for an id that other work has or
        that cannot be a folder's name, `StoreError` when the disk refuses, `EaselError` when the worker has ended.
        """
        if kind not in self._runners:
            raise NotFound("Job kind", kind, self._runners)
        if self._dead is not None:
            raise EaselError(f"The worker was ended by {type(self._dead).__name__}. Restart Easel.")
        id = str(uuid.uuid4()) if id is None else id
        if not ID.fullmatch(id):
            raise BadRequest(
                f"{id!r} cannot be a job's id: take 1 to 128 letters, digits or any of _ - ( ) and, inside, a dot.",
                field="force_task_id",
            )
        slot = self._slot
        job = Job(
            id=id,
            kind=kind,
            state="pending",
            request=request,
            owner=_clean(owner),
            priority=priority,
            created=self._now(),
            slot=slot,
            together=together,
        )
        self._table.insert(job)
        self._changed()
        self._store.sync()  # while the worker has begun: no client waits for both
        return id

    def retry(self, id: str, *, owner: str | None = None) -> str:
        """Queue the work of an ended job anew, with its seeds and options of then -> the new job's id.

        owner None: the same. Raises `NotFound`, `BadRequest` when it has not ended yet.
        """
        job = self.get(id)
        if not job.final:
            raise BadRequest(f"Job {id} is {job.state}: only one that has ended can be tried again.", field="id")
        return self.submit(
            job.kind,
            job.request,
            owner=job.owner if owner is None else owner,
            priority=job.priority,
            together=job.together,
        )

    def get(self, id: str) -> Job:
        """Raises `NotFound`."""
        job = self._unsaved.get(id) or self._table.get(id)
        if job is None:
            raise NotFound("Job", id)
        return job

    def list(
        self,
        *,
        states: Collection[str] = (),
        owner: str | None = None,
        limit: int = 100,
        newest_first: bool = True,
        kinds: Collection[str] = (),
        beyond: int | None = None,
    ) -> Jobs:
        """Jobs by order of submission; no states or kinds means all, owner None means everybody's. beyond: only what
        comes after the job of this `number`, for the next page.
        """
        jobs = self._table.list(
            states=tuple(states),
            owner=owner,
            limit=limit,
            newest_first=newest_first,
            kinds=tuple(kinds),
            beyond=beyond,
        )
        return [self._unsaved.get(job.id, job) for job in jobs]

    def wait(self, id: str, timeout: float | None = None) -> Job:
        """Block until the job has ended -> the job. Raises TimeoutError after `timeout` seconds.

        Raises `NotFound` for an unknown id; `EaselError` when Easel stops before, or another process has the job.
        """
        ended = threading.Event()
        with self._waiters.told(id, ended.set):
            if not self._waited_out(id) and not ended.wait(timeout):
                raise TimeoutError(f"Job {id} did not end within {timeout} seconds.")
        return self._ended(id)

    async def finished(self, id: str) -> Job:
        """`wait` for asyncio; a waiter costs no thread. Raises as `wait` does."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(ended.set)
            except RuntimeError:  # the loop is closed, and whoever waited is gone with it
                log.debug("Nobody waits for job %s any more.", id)

        with self._waiters.told(id, tell):
            if not self._waited_out(id):
                await ended.wait()
        return self._ended(id)

    def interrupt(self, id: str | None = None) -> None:
        """Stop a running job with what there is, cancel a pending one; None: only what runs now. `NotFound`."""
        if id is None:
            for control in self._live.values():
                control.interrupt()
        elif not self.cancel(id) and (running := self._live.get(id)) is not None:
            running.interrupt()

    def skip(self, id: str | None = None) -> None:
        """End the current batch of a running job with what there is; None: of what runs now. `NotFound`.

        Nothing happens to a job that does not run.
        """
        if id is not None:
            self.get(id)
        for control in self._live.values():
            if id in (None, control.job_id):
                control.skip()

    def cancel(self, id: str) -> bool:
        """Take a pending job out of the line -> True; False when it runs or has ended. `NotFound`."""
        self.get(id)
        with self._changing:
            cancelled = self._table.cancel(id, self._now())
        if cancelled:
            self._changed()
            self._waiters.tell(id)
        return cancelled

    def watch(self, id: str) -> None:
        """Somebody looks at this job: while it runs, previews are worth making for the next 5 seconds."""
        if (control := self._live.get(id)) is not None:
            control.watch()

    def progress(self, id: str) -> Progress:
        """How far a job is; never waits for the work or for a writer. `NotFound`."""
        if (control := self._live.get(id)) is not None:
            return control.progress
        job = self.get(id)
        return Progress(
            job_id=id,
            state=job.state,
            queue_position=self.position(id) if job.state == "pending" else 0,
            started=job.started,
            fraction=1.0 if job.final else 0.0,
            text=job.error or "",
        )

    @property
    def working(self) -> bool:
        """Whether jobs are taken (or would be, if it were not paused)."""
        return not self._stopped and any(thread.is_alive() for thread in self._threads)

    def live(self, id: str) -> Progress | None:
        """The progress of a job that runs here now; None otherwise. Reads memory only."""
        control = self._live.get(id)
        return None if control is None else control.progress

    def running(self, *, job_id: str | None = None, owner: str | None = None) -> Ids:
        """Ids of the jobs that run here now: one if it does, one owner's, or (None) all. Reads memory only."""
        return [id for id, control in self._live.items() if job_id in (None, id) and owner in (None, control.owner)]

    def position(self, id: str) -> int:
        """1 is the next to run; 0 when it does not wait (here)."""
        order = self.waiting()
        return order.index(id) + 1 if id in order else 0

    def waiting(self) -> Ids:
        """The ids of all pending jobs as they will run."""
        return self.line.order(self._slot)

    def current(self) -> Progress | None:
        """What runs now (the oldest, with several workers); None when idle."""
        for control in self._live.values():
            return control.progress
        return None

    def _recover(self, slot: int) -> None:
        """Take over what dead processes left, holding their numbers meanwhile so that no new process gets one."""
        others = self._table.slots() - {0, slot}
        dead = [lease for other in others if (lease := take(self._store.path, other)) is not None]
        try:
            self._table.recover(slot, {0, slot, *(lease.number for lease in dead)}, self._now())
        finally:
            for lease in dead:
                lease.release()

    @property
    def _slot(self) -> int:
        return self._lease.number if self._lease is not None else 0

    def _changed(self) -> None:
        """A job changed its state or place: wake the workers, and let followers look."""
        with self._changing:
            self._count()
            self._changing.notify_all()

    def _count(self) -> None:
        """Some job's state is another one now."""
        self.changes += 1
        self._on_change()

    def _take(self) -> Jobs | None:
        """Blocks until there is work, one job or several to be made in one go, which are then running and live; None
        when stopping.
        """
        with self._changing:
            while not self._stopped:
                try:
                    jobs = self._claim()
                except StoreError as error:
                    log.error("The next job cannot be taken from the queue: %s", error)
                    self._changing.wait(RETRY_SECONDS)
                    continue
                if jobs:
                    controls = {
                        job.id: Control(job.id, started=job.started or 0.0, clock=self._clock, owner=job.owner)
                        for job in jobs
                    }
                    self._live = {**self._live, **controls}
                    self._count()
                    return jobs
                self._changing.wait(RETRY_SECONDS if self._unsaved else None)
            return None

    def _claim(self) -> Jobs:
        for job in self._unsaved.values():
            self._save_late(job)
        if self.line.paused:
            return []
        first = self._table.claim(self._slot, self._now())
        if first is None:
            return []
        together = self._together.get(first.kind)
        if together is None or first.together is None:
            return [first]
        return [first, *self._table.claim_alike(first, together.room(first.request), self._now())]

    def _save_late(self, job: Job) -> None:
        """Try again to write the end of a job, for the disk may be willing now."""
        try:
            self._table.finish(job)
        except StoreError as error:
            log.debug("The end of job %s is still in memory only: %s", job.id, error)
        else:
            self._unsaved = {id: other for id, other in self._unsaved.items() if id != job.id}

    def _run(self, jobs: Jobs) -> None:
        controls = [self._live[job.id] for job in jobs]
        runner = self._runners.get(jobs[0].kind, _no_runner(jobs[0].kind))
        try:
            if len(jobs) == 1:
                outcomes = [perform(runner, jobs[0].request, controls[0])]
            else:
                requests = [job.request for job in jobs]
                outcomes = perform_together(self._together[jobs[0].kind], runner, requests, controls)
        except Abandoned:
            with self._changing:  # their rows go on saying "running"
                self._live = {id: other for id, other in self._live.items() if id not in {job.id for job in jobs}}
            return
        except BaseException as error:
            name = type(error).__name__
            failed = Outcome(state="failed", error=f"Easel was stopped by {name}.", error_type=name)
            self._end(jobs, [failed] * len(jobs))  # first: who asks for one now hears its end, not that Easel stops
            with self._changing:
                self._stopped, self._dead = True, error
                self._changing.notify_all()
            self._waiters.tell_all()
            log.critical("Job %s ended its worker by %s; no job runs until Easel is restarted.", jobs[0].id, name)
            raise
        self._end(jobs, outcomes)

    def _end(self, jobs: Jobs, outcomes: Sequence[Outcome]) -> None:
        """Jobs have ended. Who waits for them is told first; what nobody waits for is done once for all of them."""
        ended = [self._ended_as(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True)]
        for job in ended:
            log.info("%s", _line(job), extra={"facts": _facts(job)})
            self._tell(job)
        self._prune()
        self._sync(ended)

    def _ended_as(self, job: Job, outcome: Outcome) -> Job:
        changes = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
        ended = dataclasses.replace(job, **changes, finished=self._now())
        with self._changing:
            try:
                self._table.finish(ended)
            except StoreError as error:
                log.error("The end of job %s is kept in memory only: %s", job.id, error)
                self._unsaved = {**self._unsaved, job.id: ended}
            self._live = {id: control for id, control in self._live.items() if id != job.id}
            self._count()
        self._waiters.tell(job.id)
        return ended

    def _sync(self, ended: Jobs) -> None:
        """Bring the ends to the disk. A power cut before makes the jobs run again: to the same pictures."""
        try:
            self._store.sync()
        except StoreError as error:
            log.error("The end of job %s may not be on the disk: %s", ", ".join(job.id for job in ended), error)

    def _tell(self, ended: Job) -> None:
        for listener in self._on_ended:
            try:
                listener(ended)
            except Exception:  # whoever wants to know is no reason to lose the worker
                log.exception("The end of job %s could not be passed on.", ended.id)

    def _prune(self) -> None:
        try:
            pruned = self._table.prune(self._keep)
            if pruned and self._on_pruned is not None:
                self._on_pruned(pruned)
        except StoreError as error:
            log.warning("Old jobs could not be tidied up: %s", error)
        except Exception:  # tidying up is no reason to lose the worker
            log.exception("Old jobs could not be tidied up.")

    def _waited_out(self, id: str) -> bool:
        """There is nothing to wait for: the job has ended, or it cannot end here."""
        job = self.get(id)
        own = self._lease.number if self._lease is not None else job.slot
        if not job.final and job.slot not in (0, own):
            raise EaselError(f"Job {id} belongs to another Easel that works on the same data folder: follow it there.")
        return job.final or self._stopped

    def _ended(self, id: str) -> Job:
        job = self.get(id)
        if not job.final:
            raise EaselError(f"Easel is stopping. Job {id} stays in the queue and runs at the next start.")
        return job


def _facts(job: Job) -> JsonObject:
    """What the log tells of a job that ended."""
    started, finished = job.started or job.created, job.finished or job.created
    return {
        "job": job.id,
        "kind": job.kind,
        "owner": job.owner,
        "state": job.state,
        "waited": round(started - job.created, 3),
        "seconds": round(finished - started, 3),
        "pictures": len((job.result or {}).get("pictures", ())),
        "error": job.error,
    }


def _line(job: Job) -> str:
    """The same as one line for a person."""
    facts = _facts(job)
    owner = f" of {job.owner}" if job.owner else ""
    pictures = f", {facts['pictures']} pictures" if facts["pictures"] else ""
    error = f": {job.error}" if job.error else ""
    times = f"in {facts['seconds']:.2f} s after waiting {facts['waited']:.2f} s"
    return f"Job {job.id} ({job.kind}{owner}) {job.state} {times}{pictures}{error}"


def _no_runner(kind: str) -> Runner:
    """For rows of an older or newer Easel."""

    def run(request: JsonObject, control: Control) -> JsonObject:
        raise EaselError(f'This Easel has nothing that runs jobs of the kind "{kind}".')

    return run


def _clean(text: str) -> str:
    """Text that can be stored: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
