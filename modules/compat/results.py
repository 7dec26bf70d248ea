"""From a job's result to `Processed` and back: pictures that scripts add, replace or leave out."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from modules.compat.processed import Processed
from modules.core.store import write_atomically
from modules.core.types import JsonObject
from modules.imaging import png
from modules.imaging.policy import SavePolicy

if TYPE_CHECKING:
    from modules.compat.room import Frame, Room
    from modules.generate.moments import Finished


def finish(room: Room, frame: Frame, event: Finished) -> None:
    """Show the result to `postprocess`, and take what it makes of it."""
    p = frame.p
    processed = of_result(frame, event.result)
    frame.processed = p._processed = processed
    entries = list(event.result["pictures"])
    known = {id(image): entry for image, entry in zip(processed.images, entries, strict=True)}
    p._entries = {**getattr(p, "_entries", {}), **known}
    before = list(processed.images)
    if p.scripts:
        p.scripts.postprocess(p, processed)
    event.result["comments"] = [*event.result["comments"], *p.comments]
    if len(before) == len(processed.images) and all(a is b for a, b in zip(before, processed.images, strict=True)):
        return
    folder = room.app.paths.results / f"extension-{uuid.uuid4().hex}"
    event.result["pictures"] = [
        entry_of(image, _text(processed, place), folder, known, seed=processed.seed)
        for place, image in enumerate(processed.images)
    ]
    info = event.result["info"]
    info["infotexts"] = [entry["infotext"] for entry in event.result["pictures"] if entry["kind"] != "mask"]
    info["index_of_first_image"] = processed.index_of_first_image


def of_result(frame: Frame, result: JsonObject) -> Processed:
    """A job's result as Processed."""
    p, info = frame.p, result["info"]
    images = [_image(frame, entry) for entry in result["pictures"]]
    return Processed(
        p,
        images,
        seed=info["seed"],
        info=info["infotexts"][0] if info["infotexts"] else "",
        subseed=info["subseed"],
        all_prompts=p.all_prompts,
        all_negative_prompts=p.all_negative_prompts,
        all_seeds=list(info["all_seeds"]),
        all_subseeds=list(info["all_subseeds"]),
        index_of_first_image=info["index_of_first_image"],
        infotexts=list(info["infotexts"]),
        comments="".join(f"{note}\n" for note in result["comments"]),
    )


def _image(frame: Frame, entry: JsonObject) -> Image.Image:
    """The picture as it was kept; from its file where it was kept by an earlier process."""
    image = frame.pictures.get(entry["path"])
    if image is None:
        with Image.open(entry["path"]) as found:
            image = found.copy()
    if not hasattr(image, "already_saved_as") and entry["saved"]:
        image.already_saved_as = entry["path"]  # type: ignore[attr-defined]
    return image


def _text(processed: Processed, place: int) -> str:
    return processed.infotexts[place] if place < len(processed.infotexts) else processed.info


def entry_of(image: Any, infotext: str, folder: Path, known: dict[int, JsonObject], *, seed: int) -> JsonObject:
    """A picture's entry in a result; one that has none yet is written into this folder."""
    if id(image) in known:
        return known[id(image)]
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    path = folder / f"{uuid.uuid4().hex}.png"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, png.encode(image, infotext, SavePolicy()))
    facts = {"infotext": infotext, "saved": False, "kind": "sample", "seed": seed}
    return {"path": str(path), **facts, "width": image.width, "height": image.height}
