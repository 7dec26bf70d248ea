"""The Extras tab's work: pictures in, the chain of postprocessing steps over each, pictures out. `run` is the story.

The composition root queues an `Extras` and runs it; `postprocess` has the chain. What a picture says of how it was made
goes along into the new one.
"""

from __future__ import annotations

import dataclasses
import html
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.core.errors import BadRequest, DamagedFile, EaselError, Interrupted
from modules.core.store import write_atomically
from modules.core.types import JsonObject
from modules.generate import postprocess
from modules.generate.moments import Moments, Saved, Saving
from modules.generate.postprocess import Piece, Steps, Tools
from modules.imaging import png, saving
from modules.imaging.filenames import NameFacts
from modules.imaging.policy import SavePolicy
from modules.imaging.reading import read_picture
from modules.prompts import infotext

if TYPE_CHECKING:
    from modules.generate.studio import Control

log = logging.getLogger(__name__)

CHUNKS = ("postprocessing", "extras")
"""PNG texts that say what was done: in every picture, and in saved ones too."""
_TEXT_KEY = 79  # characters of a PNG text's name
_TICKS = 100  # progress of a picture is told in hundredths


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A picture to work on. key: what the store of inputs knows it by; name: of the user's file, "" = none."""

    key: str
    name: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extras:
    """One job. inputs: pictures, then all of input_dir ("" = none); output_dir: where they are saved, "" = as the
    options say; steps: a step's name -> its arguments; save: False keeps them only with the job's results; show: the
    results of a folder are shown too.
    """

    inputs: tuple[Source, ...] = ()
    input_dir: str = ""
    output_dir: str = ""
    steps: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    save: bool = True
    show: bool = True

    def to_json(self) -> JsonObject:
        """The request as plain JSON; `Extras.of_json` is its inverse."""
        return dataclasses.asdict(self) | {
            "inputs": [dataclasses.asdict(source) for source in self.inputs],
            "steps": {name: _listed(given) for name, given in self.steps.items()},
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Extras:
        """Unknown fields raise `BadRequest`: a job written by a newer Easel is refused, not half understood."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in data:
            if name not in known:
                raise BadRequest(f'extras has no field "{name}".', field=name)
        return cls(**{**data, "inputs": tuple(Source(**source) for source in data.get("inputs", ()))})


def _listed(given: Mapping[str, Any]) -> JsonObject:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where results go. data: the folder that relative output folders lie in; spool: a folder of the job's own for what
    is not to be saved; record: told path, text and size of every saved picture (the history).
    """

    data: Path
    spool: Path
    moments: Moments
    record: Callable[[Path, str, tuple[int, int]], None] = lambda path, text, size: None
    clock: Callable[[], datetime] = datetime.now


Load = Callable[[str], bytes]
"""The bytes of an input by its key. Raises EaselError."""


def check(request: Extras, steps: Steps, tools: Tools) -> None:
    """Raise what running the request would raise: BadRequest, NotFound."""
    if not request.inputs and not request.input_dir:
        raise BadRequest("image: there is no picture to work on.", field="image")
    if request.input_dir and not Path(request.input_dir).is_dir():
        raise BadRequest(f"input_dir: there is no folder {request.input_dir}.", field="input_dir")
    postprocess.check(steps.asked(request.steps, tools.options), tools)


def run(request: Extras, steps: Steps, tools: Tools, control: Control, load: Load, place: Place) -> JsonObject:
    """Do the work -> the job's result: pictures (path, infotext, …), html_info (A1111's), comments.

    Interrupted work keeps the pictures that are done; a skipped picture is left out; one of a folder that cannot be
    read becomes a comment. Raises BadRequest, NotFound, DamagedFile, EaselError.
    """
    asked = steps.asked(request.steps, tools.options)
    sources = list(_sources(request, load))
    control.begin(batches=len(sources), steps=_TICKS)
    pictures: list[JsonObject] = []
    text = ""
    for number, (name, read, shown) in enumerate(sources):
        if control.interrupted:
            break
        control.batch(number)
        control.text(name)
        try:
            data = read()
            image = read_picture(data, field="image")
        except (BadRequest, OSError) as error:
            if shown:
                raise
            tools.note(f"{name}: left out: {error}")
            continue
        first = Piece(image=image if image.mode in ("RGB", "RGBA") else image.convert("RGB"))
        try:
            pieces = postprocess.chain(first, asked, _watched(tools, control))
        except Interrupted:
            continue
        for piece, suffix in zip(pieces, _suffixes(pieces), strict=True):
            text = _text(piece)
            kept = _kept(piece, text, suffix, name, _past(data), request, tools.options, place)
            pictures += [kept] if shown or request.show else []
        control.step(_TICKS)
    control.text("")
    return {"pictures": pictures, "html_info": _html(text), "comments": list(tools.notes)}


def _sources(request: Extras, load: Load) -> Iterator[tuple[str, Callable[[], bytes], bool]]:
    """(name of the user's file, its bytes when called, whether it was named by the request)."""
    for source in request.inputs:
        yield source.name, lambda source=source: load(source.key), True  # type: ignore[misc]
    if request.input_dir:
        for path in sorted(Path(request.input_dir).iterdir(), key=lambda path: path.name.casefold()):
            if path.is_file() and not path.name.startswith("."):
                yield path.name, path.read_bytes, False


def _watched(tools: Tools, control: Control) -> Tools:
    """The tools, telling and asking the job's control between tiles."""

    def on_tile(done: int, all: int) -> None:
        if control.interrupted or control.skipped:
            raise Interrupted
        control.step(done * _TICKS // all)

    return dataclasses.replace(tools, on_tile=on_tile)


def _suffixes(pieces: list[Piece]) -> list[str]:
    """A different ending of the name for each piece of one picture: its tags, then "-1", "-2", …"""
    used: list[str] = []
    for piece in pieces:
        tags = "".join(f"-{tag}" for tag in piece.tags)
        endings = (f"{tags}-{number}" if number else tags for number in range(len(pieces)))
        used.append(next(ending for ending in endings if ending not in used))
    return used


def _text(piece: Piece) -> str:
    """What was done, as A1111 writes it."""
    return infotext.write("", "", piece.info)


def _html(text: str) -> str:
    lines = (html.escape(line) for line in text.split("\n"))
    return f"<p>{'<br>'.join(lines)}</p>"


def _past(data: bytes) -> png.Metadata:
    """What the picture says of itself; nothing where that cannot be read."""
    try:
        return png.read(data)
    except (BadRequest, DamagedFile) as error:
        log.warning("A picture's texts cannot be read: %s", error)
        return png.Metadata(infotext=None, items={}, size=(0, 0))


def _kept(
    piece: Piece,
    text: str,
    suffix: str,
    name: str,
    past: png.Metadata,
    request: Extras,
    options: Mapping[str, Any],
    place: Place,
) -> JsonObject:
    """Write one result -> its entry in the job's result."""
    event = Saving(image=piece.image, infotext=text)
    place.moments.saving.fire(event)
    policy = dataclasses.replace(SavePolicy.of(options, tab="extras"), short=True, add_number=True)
    if not request.save:
        policy = dataclasses.replace(policy, save_txt=False, export_for_4chan=False)
    done = saving.save(
        event.image,
        _whole_text(past, event.infotext, policy),
        folder=_folder(request, policy, place),
        name=NameFacts(),
        policy=policy,
        now=place.clock(),
        stem=_stem(name) + suffix if request.save and name and options["use_original_name_batch"] else "",
        suffix=suffix,
        texts={**_texts(past), **dict.fromkeys(CHUNKS if request.save else CHUNKS[:1], event.infotext)},
    )
    place.moments.saved.fire(Saved(path=done.path, infotext=event.infotext))
    if request.save:
        place.record(done.path, event.infotext, event.image.size)
        _write_caption(done.path, piece.caption, options["postprocessing_existing_caption_action"])
    width, height = event.image.size
    facts = {"infotext": event.infotext, "saved": request.save, "kind": "extras", "width": width, "height": height}
    return {"path": str(done.path), **facts}


def _folder(request: Extras, policy: SavePolicy, place: Place) -> Path:
    if not request.save:
        return place.spool
    return place.data / (request.output_dir or policy.outdir)


def _stem(name: str) -> str:
    """The user's file name without folders (either kind of slash) and ending."""
    return Path(name.replace("\\", "/")).stem


def _whole_text(past: png.Metadata, text: str, policy: SavePolicy) -> str:
    """The one text that the file holds: in PNG the parameters, what was done stands beside; else both."""
    if policy.format == "png" or not text:
        return past.infotext or ""
    return f"{past.infotext}, {text}" if past.infotext else text


def _texts(past: png.Metadata) -> dict[str, str]:
    """Those that a PNG can hold."""
    return {key: value for key, value in past.items.items() if 0 < len(key) <= _TEXT_KEY and key.isascii()}


_JOINED: Mapping[str, Callable[[str, str], str]] = {
    "Ignore": lambda old, new: new,
    "Keep": lambda old, new: old,
    "Prepend": lambda old, new: f"{old} {new}",
    "Append": lambda old, new: f"{new} {old}",
}
"""postprocessing_existing_caption_action -> what becomes of a caption that is there. The words are A1111's."""


def _write_caption(path: Path, caption: str, action: str) -> None:
    """Put a caption into a text file beside the picture."""
    if not caption.strip():
        return
    beside = path.with_suffix(".txt")
    try:
        old = beside.read_text(encoding="utf-8").strip() if beside.exists() else ""
        joined = _JOINED[action](old, caption) if old else caption
        write_atomically(beside, joined.strip().encode("utf-8", "replace"))
    except OSError as error:
        raise EaselError(f"The caption {beside} cannot be written: {error.strerror or error}.") from error
