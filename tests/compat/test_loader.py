"""Laws of loading: only the top of scripts/, the folder first on sys.path meanwhile, flags, installers."""

from __future__ import annotations

import sys
from pathlib import Path

from modules.compat import loader
from tests.compat.conftest import EXTENSIONS, Program


def test_what_is_a_guest(tmp_path: Path) -> None:
    assert loader.is_guest(EXTENSIONS / "every_hook")
    assert not loader.is_guest(tmp_path)
    (tmp_path / "scripts").mkdir()
    assert loader.is_guest(tmp_path)
    (tmp_path / "extension.py").write_text("")
    assert not loader.is_guest(tmp_path)


def test_the_folder_is_known_while_it_loads_and_forgotten_afterwards(program: Program) -> None:
    from modules import scripts  # type: ignore[attr-defined]

    folder = program.app.paths.extensions / "every_hook"
    assert str(folder) == program.guest.AT
    assert str(folder) not in sys.path
    assert scripts.basedir() == str(program.app.paths.root)
    assert "every_hook.py" not in sys.modules


def test_only_the_top_of_scripts_is_run(program: Program, tmp_path: Path) -> None:
    inner = tmp_path / "one" / "scripts" / "inner"
    inner.mkdir(parents=True)
    (inner / "never.py").write_text("raise RuntimeError('run')")
    made = loader.load(program.room, tmp_path / "one")
    program.room.loaded.remove(made)
    assert (made.scripts, made.error) == ([], "")


def test_preload_declares_flags(tmp_path: Path) -> None:
    values, rest, failed = loader.arguments([EXTENSIONS / "every_hook"], ["--every-hook-word", "x", "--listen"])
    assert (values, rest, failed) == ({"every_hook_word": "x"}, ["--listen"], {})
    (tmp_path / "preload.py").write_text("def preload(parser):\n    raise ValueError('no')\n")
    values, _, failed = loader.arguments([tmp_path], [])
    assert values == {}
    assert "ValueError: no" in failed[tmp_path.name]


def test_an_installer_runs_in_a_process_of_its_own_with_launch(program: Program, tmp_path: Path) -> None:
    lines = ["import launch", "assert launch.is_installed('pytest')", "open('done', 'w').close()"]
    (tmp_path / "install.py").write_text("\n".join(lines))
    assert loader.install(tmp_path, root=program.app.paths.root, data=tmp_path) == ""
    assert (tmp_path / "done").exists()
    (tmp_path / "install.py").write_text("raise SystemExit('cannot')")
    assert "cannot" in loader.install(tmp_path, root=program.app.paths.root, data=tmp_path)


def test_localizations_are_read(program: Program) -> None:
    assert loader.localization(program.room, "xx_XX") == {"Generate": "Erzeugen"}


def test_a_package_that_is_missing_is_named_with_the_way_out(program: Program, tmp_path: Path) -> None:
    scripts = tmp_path / "needy" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "needy.py").write_text("import resize_right.resize")
    made = loader.load(program.room, tmp_path / "needy")
    program.room.loaded.remove(made)
    assert "install resize-right into Easel's environment" in made.error
    (scripts / "needy.py").write_text("import ldm.modules.ema")
    made = loader.load(program.room, tmp_path / "needy")
    program.room.loaded.remove(made)
    assert "has what extensions mostly use, and not ldm.modules.ema" in made.error
    assert "ModuleNotFoundError" in made.traceback


LEAVING = """
import modules.script_callbacks as callbacks
HEARD = []
callbacks.on_script_unloaded(lambda: HEARD.append("first"))
callbacks.on_script_unloaded(lambda: HEARD.append("unloaded"))
callbacks.on_before_reload(lambda: HEARD.append("reload"))
import modules.shared
modules.shared.heard_by_a_test = HEARD
"""


def test_an_extension_hears_that_it_goes_the_last_registered_first(program: Program, tmp_path: Path) -> None:
    from modules import shared  # type: ignore[attr-defined]

    scripts = tmp_path / "leaving" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "leaving.py").write_text(LEAVING)
    guest = program.app.guests.load(tmp_path / "leaving")
    assert guest.error == ""
    guest.remove()
    assert shared.heard_by_a_test == ["reload", "unloaded", "first"]
    assert not [each for each in program.room.loaded if each.name == "leaving"]


def test_the_command_line_read_anew_is_what_the_program_runs_with(program: Program) -> None:
    from modules import cmd_args  # type: ignore[attr-defined]

    assert cmd_args.parser.parse_args().api is True
