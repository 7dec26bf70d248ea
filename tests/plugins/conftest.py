"""A house with everything that extensions add to, torch-free, and a folder to write extensions into."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modules.generate.moments import Moments
from modules.generate.postprocess import Steps
from modules.generate.scripts.axes import Axes
from modules.generate.scripts.registry import Menus, Scripts
from modules.loading.upscale.catalog import Upscalers
from modules.plugins.desk import Extensions
from modules.plugins.guest import Guests
from modules.plugins.house import House
from modules.samplers.catalog import builtin
from modules.settings import builtin as table
from modules.settings.flags import Flags, parse
from modules.settings.options import Options

EMPTY = "def register(app):\n    pass\n"


def no_studio() -> object:
    raise AssertionError("nobody makes pictures here")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(
        moments=Moments(),
        options=Options(table.registry(), tmp_path / "config.json"),
        catalog=builtin(),
        upscalers=Upscalers({}, no_studio),
        scripts=Scripts(),
        menus=Menus(samplers=tuple, schedulers=tuple, checkpoints=tuple, find_checkpoint=str),
        axes=Axes(()),
        steps=Steps(()),
        captioners={},
        network_words=set(),
        studio=no_studio,
        data=tmp_path,
    )


@dataclasses.dataclass
class World:
    """Extensions in a folder of their own."""

    house: House
    folder: Path
    made: list[Extensions] = dataclasses.field(default_factory=list)

    def write(self, name: str, code: str = EMPTY, toml: str = "", **files: str) -> Path:
        """An extension's folder; files: name -> text, "_" for a dot."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "extension.py").write_text(code)
        if toml:
            (folder / "extension.toml").write_text(toml)
        for file, text in files.items():
            (folder / file.replace("_", ".")).write_text(text)
        return folder

    def start(self, *words: str, shipped: Path | None = None, guests: Guests | None = None) -> Extensions:
        flags: Flags = parse(words)
        folders = [self.folder] if shipped is None else [shipped, self.folder]
        desk = Extensions(self.house, flags, folders, shipped=shipped or self.folder, guests=guests)
        self.made.append(desk)
        desk.load_all()
        return desk


@pytest.fixture
def world(house: House, tmp_path: Path) -> Iterator[World]:
    made = World(house, tmp_path / "extensions")
    made.folder.mkdir()
    yield made
    for desk in made.made:
        desk.close()


@pytest.fixture
def states() -> Callable[[Extensions], dict[str, str]]:
    return lambda desk: {each.name: each.state for each in desk.all()}
