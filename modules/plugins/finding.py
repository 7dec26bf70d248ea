"""Which extensions there are, and in which order they are loaded. Runs none of their code."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from modules.core.errors import DamagedFile
from modules.plugins import manifest
from modules.plugins.extension import CODE, Extension
from modules.plugins.manifest import Manifest


def find(
    folders: Sequence[Path], *, shipped: Path | None = None, guest: Callable[[Path], bool] = lambda folder: False
) -> list[Extension]:
    """The extensions in these folders, by name. A folder with an extension.py is one; `guest` tells which others are.

    shipped: where Easel's own are; only there can one be built in. Of two of one name the first counts; names that
    begin with a dot or an underscore do not.
    """
    found: dict[str, Extension] = {}
    for folder in dict.fromkeys(each.resolve() for each in folders):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.startswith((".", "_")) or not path.is_dir() or path.name in found:
                continue
            own = (path / CODE).is_file()
            if own or guest(path):
                here = shipped is not None and folder == shipped.resolve()
                found[path.name] = _extension(path, own=own, shipped=here)
    return sorted(found.values(), key=lambda each: each.name.casefold())


def _extension(path: Path, *, own: bool, shipped: bool) -> Extension:
    try:
        said = manifest.read(path)
    except DamagedFile as error:
        return Extension(name=path.name, folder=path, manifest=Manifest(), own=own).failed(str(error))
    return Extension(name=path.name, folder=path, manifest=said, own=own, builtin=said.builtin and shipped)


def in_order(extensions: Iterable[Extension]) -> list[Extension]:
    """By name, but for what their manifests ask: what one requires comes before it, with `before` and `after` as far
    as those are there. One that requires what is not there, or that waits for itself, has failed; it is named.
    """
    given = list(extensions)
    known = {name: each.name for each in given for name in each.names}
    checked = [_with_needs(each, known) for each in given]
    waits: dict[str, set[str]] = {each.name: set() for each in checked}
    for each in checked:
        said = each.manifest
        for other in (*said.requires, *said.after):
            if other.casefold() in known:
                waits[each.name].add(known[other.casefold()])
        for other in said.before:
            if other.casefold() in known:
                waits[known[other.casefold()]].add(each.name)
    return _sorted(checked, waits)


def _with_needs(each: Extension, known: dict[str, str]) -> Extension:
    missing = [name for name in each.manifest.requires if name.casefold() not in known]
    if missing and each.state == "found":
        names = ", ".join(f'"{name}"' for name in missing)
        return each.failed(f"It needs the extension {names}, which is not here or is disabled.")
    return each


def _sorted(extensions: list[Extension], waits: dict[str, set[str]]) -> list[Extension]:
    """Kahn's algorithm, the first name first."""
    by_name = {each.name: each for each in extensions}
    left = {name: set(others) for name, others in waits.items()}
    ready = [(name.casefold(), name) for name, others in left.items() if not others]
    heapq.heapify(ready)
    order = []
    while ready:
        _, name = heapq.heappop(ready)
        order.append(by_name[name])
        del left[name]
        for other, others in left.items():
            if name in others:
                others.discard(name)
                if not others:
                    heapq.heappush(ready, (other.casefold(), other))
    rounds = sorted(left, key=str.casefold)
    words = ", ".join(rounds)
    return order + [by_name[name].failed(f"These wait for each other in a circle: {words}.") for name in rounds]
