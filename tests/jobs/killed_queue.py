"""A process with a queue, to be killed by test_crash.py. Usage: killed_queue.py ROOT DATABASE MODE

ROOT: where `modules` is. MODE "submit": submits short jobs for ever and prints "id <id>" once a job is submitted and
"done <id>" when one is done. MODE "work": only works, with a runner that kills the process for a job that says so.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

root, database, mode = sys.argv[1:]
sys.path.insert(0, root)

from modules.core.store import Store  # noqa: E402  (the path comes first)
from modules.jobs.queue import Queue  # noqa: E402

printing = threading.Lock()


def say(line: str) -> None:
    with printing:
        print(line, flush=True)


def run(request, control):
    control.begin(batches=1, steps=3)
    if request.get("poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    for step in range(3):
        time.sleep(0.002)
        control.step(step + 1)
    say(f"done {control.job_id}")
    return {"answer": request.get("number")}


queue = Queue(Store(Path(database)), {"sleep": run})
queue.start()
for number in range(1000):
    if mode == "submit":
        say(f"id {queue.submit('sleep', {'number': number})}")
        time.sleep(0.003)
    else:
        time.sleep(0.1)
