"""Words for the suggestions under a prompt: tag lists of the user, and the networks there are. Asked by `script`.

A list is a .csv file in the folder `tags` of the data folder: a tag a line, and behind it, as tag lists in circulation
have it, its kind, how often it is used, and other spellings in quotes.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from modules.core.types import JsonObject

MOST = 10


@dataclasses.dataclass(frozen=True)
class Tag:
    """A word, how often it is used, and other spellings that lead to it."""

    name: str
    count: int = 0
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Words:
    """folder: with tag lists; networks: (what goes into the prompt, what it is) of all that a prompt may name."""

    folder: Path
    networks: Callable[[], Iterable[tuple[str, str]]]

    def suggest(self, word: str, *, most: int = MOST) -> list[JsonObject]:
        """What begins with the word (more used first), then what contains it."""
        plain = word.casefold().replace(" ", "_")
        found = [{"text": text, "about": about} for text, about in self.networks() if _fits(word.casefold(), text)]
        if word.startswith("<") or len(found) >= most:
            return found[:most]
        tags = [tag for path in self._files() for tag in tags_of(path, path.stat().st_mtime_ns)]
        begins = [tag for tag in tags if any(each.startswith(plain) for each in _spellings(tag))]
        inside = (
            [tag for tag in tags if tag not in begins and plain in tag.name.casefold()] if len(begins) < most else []
        )
        chosen = [*sorted(begins, key=_use), *sorted(inside, key=_use)][: most - len(found)]
        return [
            *found,
            *({"text": _written(tag.name), "about": f"{tag.count:,}" if tag.count else ""} for tag in chosen),
        ]

    def _files(self) -> Sequence[Path]:
        return sorted(self.folder.glob("*.csv")) if self.folder.is_dir() else []


def _fits(word: str, text: str) -> bool:
    return text.casefold().startswith(word) or (len(word) > 2 and word.removeprefix("<") in text.casefold())


def _suggested(tag: Tag) -> JsonObject:
    return {"text": _written(tag.name), "about": f"{tag.count:,}" if tag.count else ""}


def _use(tag: Tag) -> int:
    return -tag.count


def _spellings(tag: Tag) -> tuple[str, ...]:
    return (tag.name.casefold(), *(alias.casefold() for alias in tag.aliases))


def _written(name: str) -> str:
    """As a prompt wants it: spaces, and brackets that are no emphasis."""
    return name.replace("_", " ").replace("(", r"\(").replace(")", r"\)")


@functools.lru_cache(maxsize=8)
def tags_of(path: Path, changed: int) -> tuple[Tag, ...]:
    """The tags of a file that changed at this time; lines without a word are left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            rows = list(csv.reader(file))
    except (OSError, csv.Error):
        return ()
    return tuple(_tag(row) for row in rows if row and row[0].strip())


def _tag(row: Sequence[str]) -> Tag:
    count = int(row[2]) if len(row) > 2 and row[2].isdigit() else 0
    aliases = tuple(alias.strip() for alias in row[3].split(",") if alias.strip()) if len(row) > 3 else ()
    return Tag(row[0].strip(), count, aliases)
