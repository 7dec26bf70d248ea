"""What a finished txt2img job left behind, as the gallery and the seed buttons need it.

Called by the txt2img tab; built from the job's JSON result alone, so a page opened later shows the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Pictures in the gallery's order (a grid comes first), their texts, and what the run reported."""

    paths: tuple[Path, ...] = ()
    infotexts: tuple[str, ...] = ()
    missing: tuple[Path, ...] = ()
    comments: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    subseeds: tuple[int, ...] = ()

    @classmethod
    def of(cls, result: Mapping[str, Any] | None) -> Result:
        """From a job's result; files that are gone are listed in `missing` and their places closed up."""
        if not result:
            return cls()
        info = result.get("info") or {}
        pictures = [(Path(picture["path"]), picture.get("infotext") or "") for picture in result.get("pictures", ())]
        there = [(path, text) for path, text in pictures if path.is_file()]
        first = int(info.get("index_of_first_image", 0))
        return cls(
            paths=tuple(path for path, _ in there),
            infotexts=tuple(text for _, text in there),
            missing=tuple(path for path, _ in pictures if not path.is_file()),
            comments=tuple(result.get("comments") or ()),
            seeds=seeds_in_order(pictures, info.get("all_seeds") or (), first),
            subseeds=seeds_in_order(pictures, info.get("all_subseeds") or (), first),
        )

    def joined(self, other: Result) -> Result:
        """The pictures of both, ours first."""
        pairs = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return Result(**{name: (*own, *more) for name, own, more in pairs})

    def first(self, count: int) -> Result:
        """At most so many of its pictures; -1 = all."""
        if count < 0:
            return self
        cut = {name: getattr(self, name)[:count] for name in ("paths", "infotexts", "seeds", "subseeds")}
        return replace(self, **cut)

    def infotext(self, index: int) -> str:
        """The text of picture `index`, "" where there is none."""
        return self.infotexts[index] if 0 <= index < len(self.infotexts) else ""

    def seed(self, index: int) -> int:
        """The seed of picture `index` (of the first one for a grid), -1 where it is unknown."""
        return self.seeds[index] if 0 <= index < len(self.seeds) else -1

    def subseed(self, index: int) -> int:
        """The variation seed of picture `index`, -1 where it is unknown."""
        return self.subseeds[index] if 0 <= index < len(self.subseeds) else -1


def seeds_in_order(pictures: list[tuple[Path, str]], seeds: Any, first: int) -> tuple[int, ...]:
    """One seed for each picture that is still on disk; pictures before `first` are grids and take the first seed."""
    found = []
    for index, (path, _) in enumerate(pictures):
        place = max(index - first, 0)
        if path.is_file():
            found.append(int(seeds[place]) if place < len(seeds) else -1)
    return tuple(found)
