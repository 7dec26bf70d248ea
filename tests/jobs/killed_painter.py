"""Processes that make pictures, to be killed by test_kill.py. Usage: killed_painter.py ROOT DATA

ROOT: where `modules` is. For each line on its input this process forks one that opens the queue in DATA, works, and
submits six more jobs of three pictures each; so the imports are paid once. Prints "pid <n>", "id <job>", "made <path>"
once a picture is on the disk and in the history, "done <job>".
"""

from __future__ import annotations

import datetime
import os
import sys
import threading
import time
from pathlib import Path

root, data = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, root)

from PIL import Image  # noqa: E402  (the path comes first)

from modules.core.store import Store  # noqa: E402
from modules.imaging import saving  # noqa: E402
from modules.imaging.filenames import NameFacts  # noqa: E402
from modules.imaging.policy import SavePolicy  # noqa: E402
from modules.jobs.history import History, Picture  # noqa: E402
from modules.jobs.queue import Queue  # noqa: E402
from modules.settings import builtin  # noqa: E402
from modules.settings.options import Snapshot  # noqa: E402

PICTURES = 3
printing = threading.Lock()
policy = SavePolicy.of(Snapshot(builtin.registry()).overlay({"save_txt": True}))


def say(line: str) -> None:
    with printing:
        os.write(1, f"{line}\n".encode())


def work() -> None:
    store = Store(data / "easel.sqlite")
    history = History(store)

    def paint(request, control):
        control.begin(batches=PICTURES, steps=1)
        made = []
        for index in range(PICTURES):
            control.batch(index)
            image = Image.effect_noise((96, 96), 80)
            saved = saving.save(
                image,
                f"{control.job_id} {index}",
                folder=data / "outputs",
                name=NameFacts(seed=index, prompt=control.job_id),
                policy=policy,
                now=datetime.datetime.now(),
            )
            history.add([Picture(job_id=control.job_id, path=str(saved.path), width=96, height=96)])
            say(f"made {saved.path}")
            made.append(str(saved.path))
        return {"pictures": made}

    queue = Queue(store, {"paint": paint}, on_ended=[lambda job: say(f"done {job.id}")])
    queue.start()
    for number in range(6):
        say(f"id {queue.submit('paint', {'number': number})}")
        time.sleep(0.005)
    time.sleep(60)


for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    say(f"pid {pid}")
    os.waitpid(pid, 0)
    say("ended")
