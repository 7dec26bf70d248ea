"""Slower and slower answers to whoever guesses passwords."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

FREE = 5
"""Failures that cost nothing: people mistype."""
LONGEST = 300.0
"""Seconds to wait at most."""
FORGET = 900.0
KEYS = 10_000


class Throttle:
    """Failures by key (who, from where). After `FREE` of them the next try must wait 1 second, then 2, 4, … up to
    `LONGEST`; `FORGET` seconds without a failure forgive. Safe from any thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._failures: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()  # key -> count, time of the last

    def wait(self, key: Hashable) -> float:
        """Seconds until this key may try again; 0 if it may now."""
        with self._guard:
            count, last = self._failures.get(key, (0, 0.0))
        since = self._clock() - last
        if count < FREE or since > FORGET:
            return 0.0
        return max(0.0, min(LONGEST, 2.0 ** min(count - FREE, 20)) - since)

    def failed(self, key: Hashable) -> None:
        with self._guard:
            count, last = self._failures.pop(key, (0, 0.0))
            forgiven = self._clock() - last > FORGET
            self._failures[key] = (1 if forgiven else count + 1, self._clock())
            while len(self._failures) > KEYS:
                self._failures.popitem(last=False)

    def passed(self, key: Hashable) -> None:
        with self._guard:
            self._failures.pop(key, None)
