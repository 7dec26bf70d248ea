"""A1111's `modules.progress`."""

from modules.compat.entrances import (
    ProgressRequest,
    ProgressResponse,
    add_task_to_queue,
    create_task_id,
    finish_task,
    finished_tasks,
    pending_tasks,
    progressapi,
    record_results,
    recorded_results,
    start_task,
)

__all__ = [
    "ProgressRequest",
    "ProgressResponse",
    "add_task_to_queue",
    "create_task_id",
    "finish_task",
    "finished_tasks",
    "pending_tasks",
    "progressapi",
    "record_results",
    "recorded_results",
    "start_task",
]


def __getattr__(name):
    from modules.compat import entrances

    if name == "current_task":
        return entrances.current_task()
    raise AttributeError(f"modules.progress has no {name}")
