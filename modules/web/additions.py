"""What extensions add to the page: tabs, scripts, style sheets, translations, labels of infotexts.

The composition root makes one `Additions`; extensions put things in, the page reads them when it is built or opened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
PAGE_SCRIPT, FILES = "/extension-files.js", "/extension-files"
"""Where the page finds the script that loads extensions' files, and those."""


class Shelf(Generic[Item]):
    """Things in the order of adding. Safe to read from any thread."""

    def __init__(self) -> None:
        self._items: tuple[Item, ...] = ()

    def add(self, item: Item) -> Callable[[], None]:
        """One more -> a function that takes it out again."""
        self._items = (*self._items, item)

        def remove() -> None:
            self._items = tuple(other for other in self._items if other is not item)

        return remove

    def all(self) -> tuple[Item, ...]:
        return self._items


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageTab:
    """A tab of the page. build makes its widgets; it is called inside the open tab, when the page is built."""

    id: str
    title: str
    build: Callable[[], object]
    owner: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageFile:
    """A file that the page loads: JavaScript (.js, .mjs) or a style sheet (.css)."""

    path: Path
    owner: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translation:
    """Texts for a language of the page. name: the language as the menu shows it; texts: given anew each time."""

    name: str
    texts: Callable[[], Mapping[str, str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """A label of infotexts that fills a field of the forms when it is pasted."""

    label: str
    field: str
    read: Callable[[str], Any]


@dataclasses.dataclass(frozen=True)
class Additions:
    """All of them. late_tabs: asked for further tabs when all others are built; heard: told of every infotext that is
    pasted into the page, and may change what was parsed of it; counted: asked what is counted of a prompt, with the
    chosen styles and whether it is the negative one, before the token counter is shown; training: called inside the
    tabs of the Train tab, to make further ones; folders: what lies below is served as /file=PATH, as their scripts ask.
    """

    tabs: Shelf[PageTab] = dataclasses.field(default_factory=Shelf)
    late_tabs: Shelf[Callable[[], Sequence[PageTab]]] = dataclasses.field(default_factory=Shelf)
    files: Shelf[PageFile] = dataclasses.field(default_factory=Shelf)
    translations: Shelf[Translation] = dataclasses.field(default_factory=Shelf)
    labels: Shelf[Label] = dataclasses.field(default_factory=Shelf)
    heard: Shelf[Callable[[str, dict[str, Any]], None]] = dataclasses.field(default_factory=Shelf)
    counted: Shelf[Callable[[str, Sequence[str], bool], str]] = dataclasses.field(default_factory=Shelf)
    folders: Shelf[Path] = dataclasses.field(default_factory=Shelf)
    training: Shelf[Callable[[], object]] = dataclasses.field(default_factory=Shelf)
