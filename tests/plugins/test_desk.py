"""Extensions are loaded in order, fail alone, and leave nothing behind when they are unloaded."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from modules.core.errors import BadRequest, NotFound
from modules.core.hooks import all_moments
from modules.generate.moments import Saved
from modules.plugins.desk import MARKER, Extensions
from modules.plugins.state import BROKE
from tests.plugins.conftest import World

States = Callable[[Extensions], dict[str, str]]

LISTENS = """
def register(app):
    app.on(app.moments.saved, lambda event: event.path.write_text(app.name))
"""


def test_a_folder_copied_there_is_loaded(world: World, states: States) -> None:
    world.write("one")
    world.write("two", toml='version = "3"')
    desk = world.start()
    assert states(desk) == {"one": "loaded", "two": "loaded"}
    assert desk.get("two").manifest.version == "3"
    with pytest.raises(NotFound, match="one"):
        desk.get("on")


def test_they_are_loaded_in_the_order_they_ask_for(world: World) -> None:
    tells = "import builtins\ndef register(app):\n    builtins.told = [*getattr(builtins, 'told', ()), app.name]\n"
    world.write("a", tells, 'requires = ["c"]')
    world.write("b", tells)
    world.write("c", tells)
    import builtins

    builtins.told = []  # type: ignore[attr-defined]
    world.start()
    assert builtins.told == ["b", "c", "a"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def register(app:", "SyntaxError"),
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("def register(app):\n    raise ValueError('no luck')", "no luck"),
        ("def register(app):\n    raise SystemExit(3)", "SystemExit"),
        ("x = 1", 'no function "register'),
    ],
)
def test_a_failing_one_is_named_and_the_others_load(world: World, states: States, code: str, words: str) -> None:
    world.write("bad", code)
    world.write("good", LISTENS)
    desk = world.start()
    assert states(desk) == {"bad": "failed", "good": "loaded"}
    assert words in desk.get("bad").error
    assert "Traceback" in desk.get("bad").traceback
    assert not [name for name in sys.modules if name.startswith("extensions.bad")]


def test_what_a_failing_one_had_added_is_taken_out(world: World) -> None:
    world.write(
        "bad",
        LISTENS + "    app.option(__import__('modules.plugins.api', fromlist=['x']).Option("
        "key='bad_option', default=1, kind='int'))\n    raise ValueError\n",
    )
    world.start()
    assert not world.house.moments.saved
    assert "bad_option" not in world.house.options.registry


def test_one_whose_need_failed_fails_too(world: World) -> None:
    world.write("bad", "raise ValueError")
    world.write("needy", toml='requires = ["bad"]')
    world.write("lonely", toml='requires = ["nobody"]')
    desk = world.start()
    assert '"bad"' in desk.get("needy").error
    assert '"nobody"' in desk.get("lonely").error


def test_its_own_modules_can_be_imported(world: World, tmp_path: Path) -> None:
    code = "from . import words\nfrom .words import WORD\ndef register(app):\n    assert words.WORD == WORD == 7\n"
    world.write("my-ext.v2", code, words_py="WORD = 7")
    assert world.start().get("my-ext.v2").state == "loaded"


# --- unloading


def test_unloading_takes_out_every_listener_and_module(world: World, tmp_path: Path) -> None:
    world.write("one", LISTENS)
    desk = world.start()
    assert world.house.moments.saved
    outcome = desk.unload("one")
    assert outcome.extension.state == "disabled"
    assert outcome.later == ()
    assert not any(all_moments(world.house.moments).values())
    assert not [name for name in sys.modules if name.startswith("extensions.one")]


def test_reloading_reads_the_files_again(world: World, tmp_path: Path) -> None:
    world.write("one", LISTENS)
    desk = world.start()
    world.write("one", LISTENS.replace("app.name", "'changed now'"))
    assert desk.reload("one").extension.state == "loaded"
    path = tmp_path / "told.txt"
    world.house.moments.saved.fire(Saved(path=path, infotext=""))
    assert path.read_text() == "changed now"
    assert len(world.house.moments.saved._listeners) == 1


def test_a_reload_that_fails_leaves_it_out(world: World) -> None:
    world.write("one", LISTENS)
    desk = world.start()
    world.write("one", "raise ValueError('broken now')")
    assert "broken now" in desk.reload("one").extension.error
    assert not world.house.moments.saved
    world.write("one", LISTENS)
    assert desk.load("one").extension.state == "loaded"


def test_its_settings_are_told_while_it_is_loaded(world: World) -> None:
    world.write("mine", "def register(app):\n    app.honour('canvas_hotkey_zoom')\n")
    desk = world.start()
    assert desk.get("mine").settings == ("canvas_hotkey_zoom",)
    desk.unload("mine")
    assert desk.get("mine").settings == ()


def test_what_others_need_is_not_unloaded(world: World) -> None:
    world.write("base")
    world.write("above", toml='requires = ["base"]')
    desk = world.start()
    with pytest.raises(BadRequest, match="above"):
        desk.unload("base")


def test_one_that_came_while_the_program_runs_can_be_loaded(world: World) -> None:
    desk = world.start()
    world.write("new")
    assert desk.load("new").extension.state == "loaded"


def test_what_only_a_restart_changes_is_said(world: World) -> None:
    from fastapi import FastAPI

    world.write("tabbed", "def register(app):\n    app.tab('mine', 'My tab', lambda: None)\n")
    desk = world.start()
    desk.opened(FastAPI())
    assert desk.unload("tabbed").later == ('its tab "My tab"',)
    assert world.house.additions.tabs.all() == ()
    assert desk.load("tabbed").later == ('its tab "My tab"',)


# --- wanted or not


@pytest.mark.parametrize(
    ("words", "settings", "expected"),
    [
        ((), {}, {"mine": "loaded", "own": "loaded"}),
        ((), {"disabled_extensions": ["own"]}, {"mine": "loaded", "own": "disabled"}),
        ((), {"disabled_extensions": ["Titled"]}, {"mine": "loaded", "own": "disabled"}),
        ((), {"disable_all_extensions": "extra"}, {"mine": "disabled", "own": "loaded"}),
        ((), {"disable_all_extensions": "all"}, {"mine": "disabled", "own": "disabled"}),
        (("--disable-extra-extensions",), {}, {"mine": "disabled", "own": "loaded"}),
        (("--disable-all-extensions",), {}, {"mine": "disabled", "own": "disabled"}),
    ],
)
def test_settings_and_flags_decide(
    world: World, states: States, tmp_path: Path, words: tuple[str, ...], settings: dict, expected: dict
) -> None:
    shipped = tmp_path / "shipped"
    World(world.house, shipped).write("own", toml='builtin = true\nname = "titled"')
    world.write("mine")
    world.house.options.set(settings)
    assert states(world.start(*words, shipped=shipped)) == expected


def test_disabling_holds_at_the_next_start_and_enabling_too(world: World, states: States) -> None:
    world.write("one", LISTENS)
    desk = world.start()
    desk.disable("one")
    assert not world.house.moments.saved
    assert states(world.start()) == {"one": "disabled"}
    desk.enable("one")
    assert world.house.moments.saved
    assert world.house.options.snapshot()["disabled_extensions"] == []


# --- one that ends the program


def test_one_that_killed_the_program_is_disabled_and_named(world: World, states: States, tmp_path: Path) -> None:
    world.write("deadly", "import os\nos._exit(7)")
    world.write("good")
    script = (
        "import sys; from pathlib import Path; from modules.plugins.state import Marker\n"
        "from modules.plugins import loading; from modules.plugins.extension import Extension\n"
        "folder = Path(sys.argv[2]); extension = Extension(name=folder.name, folder=folder)\n"
        "with Marker(Path(sys.argv[1])).loading(extension.name): loading.register(extension)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path / MARKER), str(world.folder / "deadly")]
    assert subprocess.run(words, check=False, cwd=Path(__file__).parents[2]).returncode == 7
    desk = world.start()
    assert states(desk) == {"deadly": "disabled", "good": "loaded"}
    assert desk.get("deadly").error == BROKE
    assert world.house.options.snapshot()["disabled_extensions"] == ["deadly"]
    assert not (tmp_path / MARKER).exists()


def test_one_that_only_fails_leaves_no_marker(world: World, tmp_path: Path) -> None:
    world.write("bad", "raise ValueError")
    world.start()
    assert not (tmp_path / MARKER).exists()


# --- guests


@dataclasses.dataclass
class Ran:
    name: str
    error: str = ""
    traceback: str = ""
    localizations: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    removed: bool = False

    def remove(self) -> None:
        self.removed = True


class Room:
    """Runs folders with scripts/."""

    def __init__(self) -> None:
        self.ran: dict[str, Ran] = {}
        self.told: list[str] = []

    def accepts(self, folder: Path) -> bool:
        return (folder / "scripts").is_dir()

    def load(self, folder: Path) -> Ran:
        error = "it broke" if folder.name == "broken" else ""
        self.told.append(folder.name)
        return self.ran.setdefault(folder.name, Ran(folder.name, error, error, {"Martian": folder / "martian.json"}))

    def loaded(self) -> None:
        self.told.append("all there")

    def settings(self, folder: Path) -> list[str]:
        return [f"{folder.name}_amount"] if "all there" in self.told else []

    def failures(self, folder: Path) -> list[str]:
        return []

    def close(self) -> None:
        self.told.append("closed")


def test_guests_are_run_after_the_others_and_closed_at_the_end(world: World, states: States) -> None:
    room = Room()
    for name in ("guest", "broken", "off"):
        (world.folder / name / "scripts").mkdir(parents=True)
    (world.folder / "guest" / "martian.json").write_text('{"Generate": "Zork"}')
    world.write("own")
    world.house.options.set({"disabled_extensions": ["off"]})
    desk = world.start(guests=room)
    assert states(desk) == {"broken": "failed", "guest": "loaded", "off": "disabled", "own": "loaded"}
    assert room.told == ["broken", "guest", "all there"]
    assert desk.get("guest").settings == ("guest_amount",)
    (martian, *_) = [each for each in world.house.additions.translations.all() if each.texts()]
    assert (martian.name, martian.texts()) == ("Martian", {"Generate": "Zork"})
    desk.unload("guest")
    assert room.ran["guest"].removed
    desk.close()
    assert room.told[-1] == "closed"
