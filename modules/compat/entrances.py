"""`txt2img`, `img2img`, `progress`, `postprocessing`: where A1111's page calls in."""

from __future__ import annotations

import base64
import io
import random
import string
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from modules.compat import processing
from modules.compat import room as rooms
from modules.core.errors import EaselError

NO_WIDGETS = (
    "An extension calls A1111's {tab} handler with the values of its widgets, which Easel's page does not have. "
    "Use the REST interface or processing.process_images(p)."
)


def txt2img(id_task: str, request: Any, *args: Any) -> Any:
    """The handler of A1111's button. Raises EaselError: its forty values are widgets of A1111's page."""
    raise EaselError(NO_WIDGETS.format(tab="txt2img"))


def txt2img_create_processing(id_task: str, request: Any, *args: Any, **kwargs: Any) -> Any:
    raise EaselError(NO_WIDGETS.format(tab="txt2img"))


def img2img(id_task: str, request: Any, mode: int, *args: Any) -> Any:
    """See `txt2img`."""
    raise EaselError(NO_WIDGETS.format(tab="img2img"))


def process_batch(
    p: Any,
    input: Any,
    output_dir: str,
    inpaint_mask_dir: str,
    args: Any,
    to_scale: bool = False,
    scale_by: float = 1.0,
    use_png_info: bool = False,
    png_info_props: Any = None,
    png_info_dir: Any = None,
) -> Any:
    """A `p` for every picture of a folder, its results written to another -> the last Processed."""
    from PIL import Image

    from modules.compat import picture
    from modules.compat.shared import walk_files

    files = walk_files(input, (".png", ".jpg", ".jpeg", ".webp", ".bmp")) if isinstance(input, str) else input
    state, processed = rooms.current().state, None
    for each in sorted(files):
        if state.interrupted:
            break
        image = Image.open(each)
        if to_scale:
            p.width, p.height = int(image.width * scale_by), int(image.height * scale_by)
        p.init_images = [image.convert("RGB")] * p.batch_size
        if inpaint_mask_dir:
            masks = sorted(Path(inpaint_mask_dir).glob(f"{Path(each).stem}.*")) or sorted(
                Path(inpaint_mask_dir).glob("*")
            )
            p.image_mask = Image.open(masks[0]) if masks else None
        p.all_prompts = p.all_seeds = None
        processed = processing.process_images(p)
        for made in processed.images if output_dir else ():
            picture.save_image(made, output_dir, "", info=processed.info, p=p, forced_filename=Path(each).stem)
    return processed


# --- progress

current_tasks: list[str] = []
pending_tasks: dict[str, float] = {}
finished_tasks: list[str] = []
recorded_results: list[Any] = []


class ProgressRequest(BaseModel):
    id_task: str | None = None
    id_live_preview: int = -1
    live_preview: bool = True


class ProgressResponse(BaseModel):
    active: bool
    queued: bool
    completed: bool
    progress: float | None = None
    eta: float | None = None
    live_preview: str | None = None
    id_live_preview: int | None = None
    textinfo: str | None = None


def current_task() -> str | None:
    """The id of what runs."""
    progress = rooms.current().app.queue.current()
    return progress.job_id if progress else (current_tasks[-1] if current_tasks else None)


def start_task(id_task: str) -> None:
    pending_tasks.pop(id_task, None)
    current_tasks.append(id_task)


def finish_task(id_task: str) -> None:
    if id_task in current_tasks:
        current_tasks.remove(id_task)
    finished_tasks.append(id_task)
    del finished_tasks[:-16]


def add_task_to_queue(id_job: str) -> None:
    import time

    pending_tasks[id_job] = time.time()


def record_results(id_task: str, res: Any) -> None:
    recorded_results.append((id_task, res))
    del recorded_results[:-2]


def create_task_id(task_type: str) -> str:
    letters = "".join(random.choices(string.ascii_uppercase + string.digits, k=7))
    return f"task({task_type}-{letters})"


def progressapi(req: ProgressRequest) -> ProgressResponse:
    """How far a job is."""
    id = req.id_task or ""
    try:
        found = rooms.current().app.queue.progress(id)
    except EaselError:
        return ProgressResponse(
            active=id in current_tasks,
            queued=id in pending_tasks,
            completed=id in finished_tasks,
            textinfo="Waiting...",
        )
    answer = ProgressResponse(
        active=found.state == "running",
        queued=found.state == "pending",
        completed=found.state not in ("running", "pending"),
        progress=found.fraction,
        eta=found.eta,
        textinfo=found.text,
    )
    if req.live_preview and found.preview is not None and found.preview.id != req.id_live_preview:
        target = io.BytesIO()
        found.preview.image.save(target, format="PNG")
        answer.live_preview = "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")
        answer.id_live_preview = found.preview.id
    return answer


# --- postprocessing


def run_postprocessing(*args: Any, **kwargs: Any) -> Any:
    """Raises EaselError: see POST /sdapi/v1/extra-single-image."""
    raise EaselError("The Extras tab is a job of Easel's own: POST /sdapi/v1/extra-single-image.")


run_extras = run_postprocessing
