"""The History tab: every picture ever made here, searched, compared, sent on; drawn by assets/history.js.

Built by `page`, which also says where pictures can be sent. The table is `jobs.history`, the trash `jobs.trash`.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from modules.core.errors import BadRequest
from modules.jobs.history import Picture, Search
from modules.web.ui.island import island, told
from modules.web.ui.results import Result

if TYPE_CHECKING:
    from modules.core.types import JsonObject
    from modules.web.services import Services
    from modules.web.ui.media import Media

PAGE = 60
FILTERS = ("model", "sampler", "kind")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Album:
    """What the tab asks: every answer is JSON. A picture is known by its number in the table."""

    services: Services
    media: Media

    def answers(self) -> dict[str, Callable[[JsonObject], Any]]:
        """For `island`."""
        return {
            "find": self.find,
            "smalls": self.smalls,
            "filters": self.filters,
            "picture": self.picture,
            "do": self.act,
        }

    def find(self, asked: JsonObject) -> JsonObject:
        """A page of pictures that fit, from behind the picture `beyond` on, and how many fit in all."""
        search = wanted(asked)
        whole = dataclasses.replace(search, beyond=None)
        found = self.services.history.find(dataclasses.replace(search, limit=PAGE + 1))
        shown = found[:PAGE]
        return {
            "pictures": [self._shown(picture) for picture in shown],
            "beyond": shown[-1].number if len(found) > PAGE else None,
            "count": self.services.history.count(whole),
        }

    def smalls(self, asked: JsonObject) -> JsonObject:
        """Small copies that are not there yet: {"numbers": […]} -> number -> address ("" where the file is gone)."""
        pictures = [self.services.history.get(int(number)) for number in asked["numbers"][:PAGE]]
        return {str(picture.number): self.media.small(Path(picture.file)) for picture in pictures}

    def filters(self, asked: JsonObject) -> JsonObject:
        """What the menus offer."""
        return {column: self.services.history.names(column) for column in FILTERS}

    def picture(self, asked: JsonObject) -> JsonObject:
        """One picture in full."""
        found = self.services.history.get(int(asked["number"]))
        return self._shown(found) | {
            "whole": self.media.whole(Path(found.file)),
            "infotext": found.infotext,
            "file": found.file,
            "job": found.job_id,
        }

    def act(self, asked: JsonObject) -> JsonObject:
        """{"act": star, unstar, trash, restore, destroy or empty; "numbers": […]} -> what happened."""
        history, trash = self.services.history, self.services.trash
        if asked["act"] == "empty":
            trash.empty()
            return {}
        acts: dict[str, Callable[[int], object]] = {
            "star": lambda number: history.star(number, True),
            "unstar": lambda number: history.star(number, False),
            "trash": trash.put,
            "restore": trash.restore,
            "destroy": trash.destroy,
        }
        act = acts[asked["act"]]
        for number in asked["numbers"]:
            act(int(number))
        return {}

    def _shown(self, picture: Picture) -> JsonObject:
        return {
            "number": picture.number,
            "small": self.media.known(Path(picture.file)),
            "name": Path(picture.path).name,
            "prompt": picture.infotext.split("\nNegative prompt:")[0].split("\nSteps:")[0],
            "seed": None if picture.seed is None else str(picture.seed),
            "width": picture.width,
            "height": picture.height,
            "model": picture.model,
            "sampler": picture.sampler,
            "kind": picture.kind,
            "created": picture.created,
            "starred": picture.starred,
            "trashed": bool(picture.trashed),
        }

    def result(self, event: gr.EventData) -> tuple[Result, str]:
        """The picture that the script sends somewhere, as a gallery's result -> (it, where to)."""
        said = told(event)
        found = self.services.history.get(int(said["number"]))
        path = Path(found.file)
        shown = Result(
            paths=(path,), infotexts=(found.infotext,), seeds=(found.seed if found.seed is not None else -1,)
        )
        return shown, str(said.get("to") or "")


def wanted(asked: JsonObject) -> Search:
    """The form's words as a search. Raises BadRequest for a seed or a day that is none."""
    seed = str(asked.get("seed") or "").strip()
    if seed and not seed.lstrip("-").isdigit():
        raise BadRequest(f'Seed: "{seed}" is not a whole number.', field="seed")
    kind = str(asked.get("kind") or "")
    return Search(
        text=str(asked.get("text") or ""),
        model=str(asked.get("model") or ""),
        sampler=str(asked.get("sampler") or ""),
        seed=int(seed) if seed else None,
        since=day(asked.get("since")),
        until=day(asked.get("until"), after=1),
        starred=True if asked.get("starred") else None,
        kinds=(kind,) if kind else (),
        trashed=bool(asked.get("trashed")),
        beyond=asked.get("beyond"),
        oldest_first=bool(asked.get("oldest_first")),
        limit=PAGE,
    )


def day(text: Any, *, after: int = 0) -> float | None:
    """ "2026-11-23" -> unix seconds of its local midnight, `after` days later; None for nothing. Raises BadRequest."""
    if not text:
        return None
    try:
        date = datetime.date.fromisoformat(str(text)) + datetime.timedelta(days=after)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f'"{text}" is no day.', field="since") from error
    return datetime.datetime.combine(date, datetime.time()).timestamp()


def build(album: Album) -> Any:
    """Make the island, inside the tab that the caller has opened."""
    return island("history", "history_album", album.answers())
