"""`shared.state`: A1111's one record of what goes on, read from the job queue. Flags that are set reach the job."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modules.compat.room import Room
    from modules.jobs.progress import Progress


class State:
    """Counts come from the running job until code sets one; what is set holds until the next job begins."""

    def __init__(self, room: Room | None = None) -> None:
        self._set: dict[str, Any] = {}
        self._room = room
        self._set["server_start"] = time.time()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._set:
            return self._set[name]
        if name in _READ:
            return _READ[name](self)
        if name in _FIXED:
            return _FIXED[name]
        raise AttributeError(f"shared.state has no {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif name in ("interrupted", "stopping_generation") and value:
            self.interrupt()
        elif name == "skipped" and value:
            self.skip()
        elif name in ("interrupted", "skipped", "stopping_generation"):
            pass  # a job's flags fall when it ends
        elif name == "current_image" and value is not None:
            self.assign_current_image(value)
        else:
            self._set[name] = value

    @property
    def _progress(self) -> Progress | None:
        return None if self._room is None else self._room.app.queue.current()

    def interrupt(self) -> None:
        """End what runs now with what there is."""
        if self._room is not None:
            self._room.app.queue.interrupt()

    def skip(self) -> None:
        """End the batch that runs now with what there is."""
        if self._room is not None:
            self._room.app.queue.skip()

    def stop_generating(self) -> None:
        self.interrupt()

    def request_restart(self) -> None:
        self.interrupt()

    def begin(self, job: str = "(unknown)") -> None:
        """A job of an extension's own begins."""
        kept = {"server_start": self._set.get("server_start", 0.0)}
        self._set = {**kept, "job": job, "job_timestamp": _now(), "time_start": time.time(), "job_no": 0}

    def end(self) -> None:
        self._set = {"server_start": self._set.get("server_start", 0.0)}

    def nextjob(self) -> None:
        self._set["job_no"] = self.job_no + 1
        self._set["sampling_step"] = 0

    def set_current_image(self) -> None:
        """Previews are made by Easel's own watch."""

    def do_set_current_image(self) -> None:
        """Previews are made by Easel's own watch."""

    def assign_current_image(self, image: Any) -> None:
        """Show this picture to whoever watches."""
        from PIL import Image

        self._set["current_image"] = image
        self._set["id_live_preview"] = self.id_live_preview + 1
        control = self._room and (self._room.thread.control or self._room.floor.control)
        if control and isinstance(image, Image.Image):
            control.preview(image)

    def dict(self) -> dict[str, Any]:
        """What /sdapi/v1/progress shows of it."""
        names = ("skipped", "interrupted", "stopping_generation", "job", "job_count", "job_timestamp", "job_no")
        return {name: getattr(self, name) for name in (*names, "sampling_step", "sampling_steps")}


def _now() -> str:
    return datetime.datetime.now().strftime("%Y%m%d%H%M%S")


def _of(progress: str, nothing: Any) -> Any:
    def read(state: State) -> Any:
        found = state._progress
        return nothing if found is None else getattr(found, progress)

    return read


def _step(state: State) -> int:
    frame = state._room and state._room.frame
    return frame.step if frame else int(_of("step", 0)(state))


def _steps(state: State) -> int:
    frame = state._room and state._room.frame
    return frame.steps if frame and frame.steps else int(_of("steps", 0)(state))


_READ: Any = {
    "interrupted": _of("interrupted", False),
    "stopping_generation": _of("interrupted", False),
    "skipped": _of("skipped", False),
    "job": _of("job_id", ""),
    "job_no": _of("batch", 0),
    "job_count": _of("batches", 0),
    "time_start": _of("started", None),
    "textinfo": _of("text", None),
    "sampling_step": _step,
    "sampling_steps": _steps,
    "job_timestamp": lambda state: _now(),
}
_FIXED: dict[str, Any] = {
    "current_latent": None,
    "current_image": None,
    "current_image_sampling_step": 0,
    "id_live_preview": 0,
    "need_restart": False,
    "oom": False,
    "processing_has_refined_job_count": False,
    "server_command": None,
}
