"""Cards of extra networks and checkpoints: what lies on the disk, as pictures that a click puts into the prompt.

Built by the generation tabs, one island a kind; drawn by assets/cards.js. Notes and previews lie beside the files as
A1111 keeps them (`loading.cards`).
"""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from PIL import Image

from modules.core.errors import BadRequest, EaselError, NotFound
from modules.core.store import write_atomically
from modules.imaging.reading import read_picture
from modules.loading import cards

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.web.services import Services
    from modules.web.ui.media import Media

TEXTS = ("description", "notes", "sd version", "activation text", "negative text", "vae")
"""Notes that the editor shows as text; beside them "preferred weight", a number, 0 = none."""
HIDDEN = "."
OTHER = "Made for another kind of model."
SETTINGS = {
    "order": "extra_networks_card_order_field",
    "direction": "extra_networks_card_order",
    "separator": "extra_networks_add_text_separator",
    "width": "extra_networks_card_width",
    "height": "extra_networks_card_height",
    "text_scale": "extra_networks_card_text_scale",
    "descriptions": "extra_networks_card_show_desc",
    "hidden": "extra_networks_hidden_models",
    "show_hidden_folders": "extra_networks_show_hidden_directories",
    "tree": "extra_networks_tree_view_default_enabled",
}
"""What the page takes from the options."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A file with a card. name: how it is shown; below: its path below its folder; text: what goes into the prompt,
    with {weight} where a strength belongs ("" = nothing); title: of a checkpoint, what choosing it sets; remark: why
    it does not fit the chosen checkpoint.
    """

    path: Path
    name: str
    below: str
    text: str = ""
    title: str = ""
    remark: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A page of cards. id: as in A1111's element ids; entries: what is there; refresh: look at the disk again."""

    id: str
    title: str
    entries: Callable[[], Sequence[Entry]]
    refresh: Callable[[], object]


def kinds(services: Services) -> tuple[Kind, ...]:
    """A1111's pages, in its order."""

    def inversions() -> list[Entry]:
        fitting, others = services.embeddings()
        return [
            Entry(path=each.file.path, name=each.name, below=each.file.below, text=each.name, remark=told)
            for told, group in (("", fitting), (OTHER, others))
            for each in group
        ]

    def hypernetworks() -> list[Entry]:
        return [
            Entry(path=file.path, name=file.name, below=file.below, text=f"<hypernet:{file.name}:{{weight}}>")
            for file in services.networks().hypernetworks.all()
        ]

    def checkpoints() -> list[Entry]:
        found = services.library.checkpoints()
        return [Entry(path=each.path, name=each.short_name, below=_bare(each.name), title=each.title) for each in found]

    return (
        Kind(id="textual_inversion", title="Textual Inversion", entries=inversions, refresh=_nothing),
        Kind(
            id="hypernetworks",
            title="Hypernetworks",
            entries=hypernetworks,
            refresh=lambda: services.networks().hypernetworks.refresh(),
        ),
        Kind(id="checkpoints", title="Checkpoints", entries=checkpoints, refresh=services.library.refresh),
        Kind(
            id="lora",
            title="Lora",
            entries=functools.partial(_loras, services),
            refresh=lambda: services.networks().loras.refresh(),
        ),
    )


VERSIONS = {"sd1": "SD1", "sd2": "SD2", "sd2-unclip": "SD2", "sd2-depth": "SD2", "sdxl": "SDXL", "sdxl-refiner": "SDXL"}
"""What A1111 calls the families that LoRAs are told apart by."""
UNKNOWN = "Unknown"


def _loras(services: Services) -> list[Entry]:
    """Those that fit the chosen checkpoint, as A1111 tells by the notes beside a file or by its trainer's; all of them
    if `lora_show_all`. What is known of none is shown, but for the versions in `lora_hide_unknown_for_versions`.
    """
    from modules.networks.files import version

    options, files = services.options.snapshot(), services.networks().loras
    chosen, preferred = _version(services, options["sd_model_checkpoint"]), options["lora_preferred_name"]
    found = []
    for file in files.all():
        made_for = str(cards.read_notes(file.path).get("sd version") or "")
        made_for = made_for if made_for in VERSIONS.values() else version(file)
        fits = made_for in (chosen, UNKNOWN) or not chosen
        hidden = not fits or (made_for == UNKNOWN and chosen in options["lora_hide_unknown_for_versions"])
        if hidden and not options["lora_show_all"]:
            continue
        text = f"<lora:{files.called(file, preferred)}:{{weight}}>"
        remark = "" if fits else OTHER
        found.append(Entry(path=file.path, name=file.name, below=file.below, text=text, remark=remark))
    return found


def _version(services: Services, checkpoint: str | None) -> str:
    """What A1111 calls the chosen checkpoint's family; "" for those it does not know and where there is none."""
    try:
        return VERSIONS.get(services.library.chosen(checkpoint).family or "", "")
    except EaselError:
        return ""


def _nothing() -> None:
    """Textual inversions are looked for at every question."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shelf:
    """What the islands of cards ask: every answer is JSON. Names are those of `kinds`; NotFound for any other."""

    services: Services
    media: Media
    kinds: tuple[Kind, ...]

    def answers(self) -> dict[str, Callable[[JsonObject], Any]]:
        """For `island`."""
        return {"list": self.list, "card": self.card, "save": self.save}

    def list(self, asked: JsonObject) -> JsonObject:
        """All cards of a kind, and how the options want them shown."""
        kind = self._kind(asked["kind"])
        if asked.get("refresh"):
            kind.refresh()
        options = self.services.options.snapshot()
        weight = float(options["extra_networks_default_multiplier"])
        shown = {name: options[key] for name, key in SETTINGS.items()}
        return {"cards": [self._shown(entry, weight) for entry in kind.entries()], "settings": shown}

    def card(self, asked: JsonObject) -> JsonObject:
        """One card in full: its file, notes and metadata."""
        entry = self.entry(asked["kind"], asked["name"])
        found = cards.read(entry.path)
        return {
            "name": entry.name,
            "file": str(entry.path),
            "size": found.size,
            "changed": found.changed,
            "metadata": found.metadata,
            "notes": {key: str(found.notes.get(key) or "") for key in TEXTS} | {"description": found.description},
            "weight": _number(found.notes.get("preferred weight")),
            "preview": self.media.small(found.preview, side=512) if found.preview else "",
        }

    def save(self, asked: JsonObject) -> JsonObject:
        """Keep notes: {"notes": {…}, "weight": number}. What the page does not know stays in the file."""
        entry = self.entry(asked["kind"], asked["name"])
        notes = asked["notes"]
        changes: dict[str, Any] = {key: str(notes[key]) for key in TEXTS if key in notes}
        kept = cards.read_notes(entry.path)
        # an empty text removes what was there and leaves no empty line where nothing was
        changes = {key: text or (None if key not in kept else "") for key, text in changes.items()}
        changes["preferred weight"] = _number(asked.get("weight")) or None
        cards.write_notes(entry.path, changes)
        return self.card(asked)

    def replace_preview(self, kind: str, name: str, picture: Path) -> Path:
        """Put a picture beside the file as its preview -> where. Raises NotFound, StoreError."""
        entry = self.entry(kind, name)
        target = cards.beside(entry.path, ".png")
        data = picture.read_bytes()
        if picture.suffix.lower() != ".png":
            data = _as_png(read_picture(data, field="preview"))
        write_atomically(target, data)
        return target

    def entry(self, kind: str, name: str) -> Entry:
        """By what `_shown` calls its id. Raises NotFound."""
        entries = {entry.below: entry for entry in self._kind(kind).entries()}
        if name not in entries:
            raise NotFound("Card", name, list(entries))
        return entries[name]

    def _kind(self, id: str) -> Kind:
        for kind in self.kinds:
            if kind.id == id:
                return kind
        raise BadRequest(f'There are no cards of the kind "{id}".', field="kind")

    def _shown(self, entry: Entry, weight: float) -> JsonObject:
        notes = cards.read_notes(entry.path)
        preview = cards.preview(entry.path)
        strength = _number(notes.get("preferred weight")) or weight
        activation = str(notes.get("activation text") or "")
        try:
            facts = entry.path.stat()
            created, changed = facts.st_ctime, facts.st_mtime
        except OSError:
            created = changed = 0.0
        return {
            "id": entry.below,
            "name": entry.name,
            "folder": str(PurePosixPath(entry.below).parent).removeprefix("."),
            "text": entry.text.replace("{weight}", f"{strength:g}"),
            "activation": activation,
            "negative": str(notes.get("negative text") or ""),
            "title": entry.title,
            "remark": entry.remark,
            "description": str(notes.get("description") or ""),
            "preview": self.media.small(preview) if preview else "",
            "created": created,
            "changed": changed,
        }


def _bare(name: str) -> str:
    """A path without its ending, with slashes."""
    return str(PurePosixPath(name.replace("\\", "/")).with_suffix(""))


def _number(value: Any) -> float:
    """A strength from notes that somebody may have written by hand; 0 for none."""
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def _as_png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()
