"""Sending webhooks: a thread that posts what `jobs.webhooks` says is due, signed, and notes what became of it.

The body is JSON: {"event", "job", "type", "at", "kind", "owner", "result" | "error"}. Headers: X-Easel-Event (the
event's number: the same for every attempt), X-Easel-Timestamp (unix seconds) and, with a secret, X-Easel-Signature (see
`jobs.webhooks.signature`). 2xx is success, 410 "never again"; redirects are not followed. Addresses obey the rules of
pictures by URL: no private networks unless the option `api_forbid_local_requests` is off.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from modules.core.errors import BadRequest
from modules.core.store import StoreError
from modules.core.types import JsonObject
from modules.jobs.webhooks import Delivery, Webhooks, signature
from modules.web.security import addresses
from modules.web.security.addresses import Target
from modules.web.security.connecting import connected

log = logging.getLogger(__name__)

SECONDS = 10.0  # for an answer
AT_ONCE = 4
LONGEST_SLEEP = 60.0
STOP_SECONDS = 3.0
GONE = 410

Resolve = Callable[..., Target]
"""`addresses.resolve`: (url, field=, forbid_local=) -> where to connect; raises BadRequest."""


class Sender:
    """Sends what is due until it is stopped. tell: the message of an event of a job, (job id, type) -> facts;
    forbid_local: asked each time.
    """

    def __init__(
        self,
        hooks: Webhooks,
        *,
        tell: Callable[[str, str], JsonObject],
        forbid_local: Callable[[], bool],
        resolve: Resolve = addresses.resolve,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.hooks = hooks
        self._tell = tell
        self._forbid_local = forbid_local
        self._resolve = resolve
        self._now = now
        self._news = threading.Event()
        """Set by `wake`."""
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what the last run could not send."""
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="easel-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What is not sent by now is sent after the next start."""
        self._stopping = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    def register(self, job_id: str, url: str, *, secret: str = "", types: Collection[str]) -> None:
        """Tell this address of a job that is about to be queued. Raises BadRequest(field="webhook.url")."""
        self._resolve(url, field="webhook.url", forbid_local=self._forbid_local())
        self.hooks.register(job_id, url, secret=secret, types=types)

    def forget(self, job_id: str) -> None:
        """The job was not queued after all."""
        self.hooks.forget(job_id)

    def send_due(self) -> int:
        """Send everything that is due -> how many attempts were made."""
        due = self.hooks.due(self._now())
        if not due:
            return 0
        with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="easel-webhook") as pool:
            list(pool.map(self._send, due))
        return len(due)

    def _work(self) -> None:
        while not self._stopping:
            self._news.clear()
            try:
                while not self._stopping and self.send_due():
                    pass
                due = self.hooks.next_due()
            except StoreError as error:
                log.error("Webhooks wait: %s", error)
                due = None
            wait = LONGEST_SLEEP if due is None else min(LONGEST_SLEEP, max(0.0, due - self._now()))
            self._news.wait(wait)

    def _send(self, delivery: Delivery) -> None:
        try:
            target = self._resolve(delivery.url, field="webhook.url", forbid_local=self._forbid_local())
            status = self._post(target, delivery)
        except (BadRequest, OSError, http.client.HTTPException) as error:
            answer = str(error) if isinstance(error, BadRequest) else type(error).__name__
            self.hooks.failed(delivery, answer, self._now())
        else:
            if 200 <= status < 300:
                self.hooks.sent(delivery, str(status), self._now())
                return
            self.hooks.failed(delivery, str(status), self._now(), forever=status == GONE)
            answer = f"status {status}"
        log.warning("The webhook of job %s did not arrive (attempt %d): %s", *_named(delivery), answer)

    def _post(self, target: Target, delivery: Delivery) -> int:
        facts = {"event": delivery.event, "job": delivery.job_id, "type": delivery.type, "at": delivery.at}
        body = json.dumps({**self._tell(delivery.job_id, delivery.type), **facts}).encode("ascii")
        timestamp = str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Easel",
            "X-Easel-Event": str(delivery.event),
            "X-Easel-Timestamp": timestamp,
        }
        if delivery.secret:
            headers["X-Easel-Signature"] = signature(delivery.secret, timestamp, body)
        with connected(target, SECONDS) as connection:
            connection.request("POST", target.path, body=body, headers=headers)
            return connection.getresponse().status


def _named(delivery: Delivery) -> tuple[str, int]:
    return delivery.job_id, delivery.attempts + 1
