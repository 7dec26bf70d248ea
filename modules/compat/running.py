"""`process_images`: the pictures of a `p`, made inside the job that asks for them or in a turn of their own."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

from modules.compat import processing, results
from modules.compat.processed import Processed
from modules.generate.scripts.context import Context, Made, Result

if TYPE_CHECKING:
    from PIL import Image

    from modules.compat.room import Room
    from modules.generate.request import Generation


@dataclasses.dataclass(frozen=True)
class Within:
    """A `Control` for work inside a job: it stops with the job and reports nothing of its own."""

    room: Room

    @property
    def interrupted(self) -> bool:
        return bool(self.room.state.interrupted)

    @property
    def skipped(self) -> bool:
        return bool(self.room.state.skipped)

    def begin(self, *, batches: int, steps: int) -> None: ...
    def batch(self, index: int) -> None: ...
    def step(self, done: int) -> None: ...
    def text(self, text: str) -> None: ...
    def watched(self) -> bool:
        return False

    def preview(self, image: Image.Image) -> None: ...


def make(room: Room, p: Any) -> Processed:
    """See `processing.process_images`. Raises what `generate.run.make` raises."""
    if p.scripts_value and p.script_args_value and not p.scripts_setup_complete:
        p.setup_scripts()
    context = room.thread.context
    if context is not None and room.frame is None:
        return _cell(room, context, p)
    with room.floor:
        return _directly(room, p)


def _cell(room: Room, context: Context, p: Any) -> Processed:
    """One cell of the chosen script that runs; it is on the disk when this returns."""
    p._processed = None
    with room.making(p):
        made = context.make(processing.to_request(room, p))
    p._made = made
    if p._processed is not None:
        done: Processed = p._processed
        return done
    return _from_disk(p, made)


def _from_disk(p: Any, made: Made) -> Processed:
    """A cell that this job made before it was killed."""
    info, images = made.info, made.images()
    p.all_prompts, p.all_seeds = list(info["all_prompts"]), list(info["all_seeds"])
    p.all_negative_prompts, p.all_subseeds = list(info["all_negative_prompts"]), list(info["all_subseeds"])
    p._entries = {id(image): entry for image, entry in zip(images, made.pictures, strict=True)}
    return Processed(
        p,
        images,
        seed=info["seed"],
        info=info["infotexts"][0] if info["infotexts"] else "",
        subseed=info["subseed"],
        index_of_first_image=info["index_of_first_image"],
        infotexts=list(info["infotexts"]),
    )


def _directly(room: Room, p: Any) -> Processed:
    from modules.generate import plan, run
    from modules.generate.save import Album

    app, studio, id = room.app, room.studio, f"extension-{uuid.uuid4().hex}"
    request = plan.with_seeds(processing.to_request(room, p))
    wrote = dict(room.frame.options) if room.frame else {}
    settings = app.options.snapshot().overlay(
        {key: value for key, value in wrote.items() if key in app.options.registry} | dict(request.override_settings)
    )
    album = Album(
        data=app.paths.data,
        spool=app.paths.results / id,
        moments=studio.moments,
        record=lambda work, kept: app.desk.record(id, kept, work.checkpoint.name),
    )
    control = room.floor.control or Within(room)
    with room.making(p, room.floor.control):
        result = run.make(studio, request, settings, control, album)
        if p._processed is not None:
            done: Processed = p._processed
            return done
        assert room.frame is not None
        return results.of_result(room.frame, result)


def chosen(room: Room, script: Any, context: Context, request: Generation, values: list[Any]) -> Result:
    """Run a chosen script on a request -> its pictures. Raises what the script raises."""
    runner = room.runner(request.kind)
    arguments = runner.defaults()
    start, end = script.args_from or 0, script.args_to or 0
    for place, value in zip(range(start, end), values, strict=False):
        arguments[place] = arguments[place] if value is None else value
    arguments[0] = runner.selectable_scripts.index(script) + 1
    p = processing.of_request(room, request)
    room.thread.frame = None
    p.script_args_value = arguments
    p.scripts = runner
    with room.scripting(context):
        processed = script.run(p, *arguments[start:end])
        if processed is None:
            processed = processing.process_images(p)
    return _result(context, request, p, processed)


def _result(context: Context, request: Generation, p: Any, processed: Processed) -> Result:
    """What a script gave back, its own pictures kept beside those of its cells."""
    known, made = getattr(p, "_entries", {}), getattr(p, "_made", None)
    entries = []
    for place, image in enumerate(processed.images):
        if id(image) in known:
            entries.append(known[id(image)])
            continue
        text = processed.infotexts[place] if place < len(processed.infotexts) else processed.info
        last = made if made is not None else Made({"pictures": [], "info": {}, "comments": []})
        kind = "grid" if place < processed.index_of_first_image else "sample"
        entries.append(context.keep(image, text, made=last, request=request, kind=kind, saved=False))  # type: ignore[arg-type]
    info = {} if made is None else made.info
    info |= {
        "infotexts": [entry["infotext"] for entry in entries],
        "index_of_first_image": processed.index_of_first_image,
        "all_prompts": list(processed.all_prompts),
        "all_negative_prompts": list(processed.all_negative_prompts),
        "all_seeds": list(processed.all_seeds),
        "all_subseeds": list(processed.all_subseeds),
        "seed": processed.seed,
        "prompt": processed.prompt,
    }
    return Result(pictures=entries, info=info)
