"""What is tried when memory runs out: half as many pictures at once, then less of the model on the device.

`run` asks `Thrift` for its batches and tells it of failures. (The VAE helps itself: it goes on in tiles.) A batch gives
the pictures that single ones give, so halving it changes none. What was done is told in the job's comments.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Iterator

from modules.core import device
from modules.core.errors import EaselError
from modules.generate.plan import Plan
from modules.loading.loader import Model

log = logging.getLogger(__name__)


class Thrift:
    """The batches of a job, fewer pictures at a time where memory wants it. notes: what the user should know."""

    def __init__(self, work: Plan) -> None:
        self.notes: list[str] = []
        self._waiting = deque(work.batches())

    def batches(self) -> Iterator[range]:
        """The pictures of each batch, or part of one."""
        while self._waiting:
            yield self._waiting.popleft()

    def again(self, batch: range, model: Model, error: BaseException) -> None:
        """After `error`: put a batch back, to be tried in a thriftier way. Raises EaselError where there is none, and
        the error itself if it is of another kind.
        """
        if not device.out_of_memory(error):
            raise error
        traceback.clear_frames(error.__traceback__)  # they hold what was being computed
        device.free(model.placement.device)
        if len(batch) > 1:
            middle = batch.start + (len(batch) + 1) // 2
            self._waiting.extendleft((range(middle, batch.stop), range(batch.start, middle)))
            self._note(f"Memory ran out with {len(batch)} pictures at once: they were made in smaller batches.")
        elif mode := model.residency.lower():
            self._waiting.appendleft(batch)
            self._note(f"Memory ran out: the model works as with --{mode} from now on.")
        else:
            raise EaselError(
                "Memory ran out. Make the picture smaller, or start with --medvram or --lowvram."
            ) from error

    def _note(self, words: str) -> None:
        log.warning("%s", words)
        if words not in self.notes:
            self.notes.append(words)
