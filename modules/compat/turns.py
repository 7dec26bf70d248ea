"""`call_queue`: a turn at the models, and wrappers of an extension's handlers."""

from __future__ import annotations

from typing import Any

from modules.compat import room as rooms
from modules.compat.widgets import wrap_gradio_call, wrap_gradio_gpu_call, wrap_queued_call

__all__ = ["queue_lock", "wrap_gradio_call", "wrap_gradio_call_no_job", "wrap_gradio_gpu_call", "wrap_queued_call"]

wrap_gradio_call_no_job = wrap_gradio_call


class _Lock:
    """The floor of the program that runs now."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return rooms.current().floor.acquire(blocking, timeout)

    def release(self) -> None:
        rooms.current().floor.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: Any) -> None:
        self.release()


queue_lock = _Lock()
