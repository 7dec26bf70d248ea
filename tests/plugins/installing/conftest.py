"""Repositories on this machine, packages made by hand, and a manager that installs them into a folder of its own."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.generate.moments import Moments
from modules.generate.postprocess import Steps
from modules.generate.scripts.axes import Axes
from modules.generate.scripts.registry import Menus, Scripts
from modules.loading.upscale.catalog import Upscalers
from modules.plugins.desk import Extensions
from modules.plugins.house import House
from modules.plugins.installing.manager import Manager
from modules.plugins.installing.packages import Packages
from modules.samplers.catalog import builtin
from modules.settings import builtin as table
from modules.settings.flags import parse
from modules.settings.options import Options

EMPTY = "def register(app):\n    pass\n"
WHO = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *WHO, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclasses.dataclass
class Origin:
    """A repository that somebody publishes."""

    folder: Path

    def publish(self, files: dict[str, str], *, branch: str = "main") -> str:
        """Commit these files -> the commit."""
        if not (self.folder / ".git").exists():
            self.folder.mkdir(parents=True)
            git(self.folder, "init", "-q", "-b", "main")
        if git(self.folder, "branch", "--show-current") != branch:
            git(self.folder, "checkout", "-q", "-b", branch)
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", "another")
        return git(self.folder, "rev-parse", "HEAD")


@dataclasses.dataclass
class World:
    folder: Path
    desk: Extensions
    manager: Manager
    packages: Packages
    options: Options

    @property
    def extensions(self) -> Path:
        return self.folder / "extensions"

    def do(self, act: str, **values: Any) -> Any:
        return getattr(self.manager, act.replace("-", "_"))(values)

    def left(self) -> list[str]:
        """What an act left beside the extensions."""
        return sorted(each.name for each in self.extensions.iterdir() if each.name.startswith(".installing"))


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "published" / "glow")


@pytest.fixture
def wheel(tmp_path: Path) -> Callable[[str, str], None]:
    """Make a package that pip can install, in the folder where it looks."""

    def make(name: str, version: str, needs: str = "") -> None:
        shelf = tmp_path / "shelf"
        shelf.mkdir(exist_ok=True)
        info = f"{name}-{version}.dist-info"
        wanted = f"Requires-Dist: {needs}\n" if needs else ""
        files = {
            f"{name}.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wanted}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        with zipfile.ZipFile(shelf / f"{name}-{version}-py3-none-any.whl", "w") as file:
            for path, text in files.items():
                file.writestr(path, text)
            file.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n")

    return make


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*flags: str, **given: Any) -> World:
        def none(*words: object) -> Any:
            raise AssertionError("nobody makes pictures here")

        data = tmp_path / "data"
        folder = data / "extensions"
        folder.mkdir(parents=True, exist_ok=True)
        constraints = tmp_path / "requirements.txt"
        constraints.write_text("pinned==2.0\n# a remark\n")
        house = House(
            moments=Moments(),
            options=Options(table.registry(), data / "config.json"),
            catalog=builtin(),
            upscalers=Upscalers({}, none),
            scripts=Scripts(),
            menus=Menus(samplers=tuple, schedulers=tuple, checkpoints=tuple, find_checkpoint=str),
            axes=Axes(()),
            steps=Steps(()),
            captioners={},
            network_words=set(),
            studio=none,
            data=data,
        )
        parsed = parse(flags)
        desk = Extensions(house, parsed, [folder], shipped=tmp_path / "shipped")
        site = tmp_path / "site"
        python = site / "bin" / "python"
        packages = Packages(
            constraints=constraints,
            wheels=data / "wheels",
            pip=(sys.executable, "-m", "pip", *(("--python", str(python)) if python.exists() else ())),
            sites=[str(each) for each in site.glob("lib/*/site-packages")] or [str(site)],
            environ={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "shelf"), "PIP_CONFIG_FILE": "/dev/null"},
        )
        manager = Manager(
            desk,
            parsed,
            folder=folder,
            data=data,
            packages=packages,
            accepts=lambda path: (path / "scripts").is_dir(),
            **given,
        )
        manager.sweep()
        desk.load_all()
        made.append(World(data, desk, manager, packages, house.options))
        return made[-1]

    yield make
    for each in made:
        each.desk.close()
