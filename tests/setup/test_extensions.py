"""Extension installers: when they run, what they see, and that a failing one harms nobody."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from modules.setup.extensions import Extensions, run_installers

ROOT = Path(__file__).resolve().parents[2]


class Shelf:
    """An extensions folder whose install.py scripts note their runs."""

    def __init__(self, root: Path) -> None:
        self.root, self.said = root, list[str]()
        self.folder = root / "extensions"
        self.settings = root / "config.json"

    def add(self, name: str, script: str = "") -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        note = f"open({str(self.root / 'runs')!r}, 'a').write({name + chr(10)!r})"
        (folder / "install.py").write_text(f"{note}\n{script}\n")
        return folder

    def start(self, *, off: bool = False, mark: str = "venv 1") -> list[str]:
        """One start -> the extensions whose installer ran."""
        runs = self.root / "runs"
        runs.write_text("")
        memory = self.root / "cache" / "memory.json"
        extensions = Extensions(folders=(self.folder, self.folder), settings=self.settings, memory=memory, off=off)
        self.failed = run_installers(
            extensions,
            root=ROOT,
            python=Path(sys.executable),
            constraints=ROOT / "requirements.txt",
            environ=os.environ,
            mark=mark,
            say=self.said.append,
        )
        return runs.read_text().split()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_an_installer_runs_once_until_something_changes(shelf: Shelf) -> None:
    folder = shelf.add("alpha")
    shelf.add("beta")
    assert shelf.start() == ["alpha", "beta"]
    assert shelf.start() == []
    (folder / "requirements.txt").write_text("something==1")
    assert shelf.start() == ["alpha"]
    assert shelf.start() == []


def test_a_new_environment_makes_every_installer_due(shelf: Shelf) -> None:
    shelf.add("alpha")
    shelf.start(mark="venv 1")
    assert shelf.start(mark="venv 2") == ["alpha"]


def test_a_failing_one_is_named_tried_again_and_the_others_still_run(shelf: Shelf) -> None:
    shelf.add("alpha", "raise SystemExit(3)")
    shelf.add("beta")
    assert shelf.start() == ["alpha", "beta"]
    assert shelf.failed == ["alpha"]
    assert any("alpha" in line and "exit code 3" in line for line in shelf.said)
    assert shelf.start() == ["alpha"]


def test_disabled_ones_do_not_run(shelf: Shelf) -> None:
    shelf.add("alpha")
    shelf.add("beta")
    shelf.settings.write_text(json.dumps({"disabled_extensions": ["alpha"]}))
    assert shelf.start() == ["beta"]


@pytest.mark.parametrize("every", ["all", "extra"])
def test_none_runs_when_all_are_disabled(shelf: Shelf, every: str) -> None:
    shelf.add("alpha")
    shelf.settings.write_text(json.dumps({"disable_all_extensions": every}))
    assert shelf.start() == []


def test_none_runs_when_the_flags_say_so(shelf: Shelf) -> None:
    shelf.add("alpha")
    assert shelf.start(off=True) == []


def test_damaged_settings_are_reported_and_do_not_stop_the_start(shelf: Shelf) -> None:
    shelf.add("alpha")
    shelf.settings.write_text('{"disabled_extensions": [')
    assert shelf.start() == ["alpha"]
    assert any("config.json" in line for line in shelf.said)


def test_extensions_without_installer_and_files_are_passed_over(shelf: Shelf) -> None:
    (shelf.folder / "plain").mkdir(parents=True)
    (shelf.folder / "README.md").write_text("")
    assert shelf.start() == []
    assert shelf.said == []


def test_an_installer_sees_launch_and_our_pins(shelf: Shelf) -> None:
    script = """
import os
import launch
assert launch.is_installed("json")
assert not launch.is_installed("no_module_of_this_name")
assert "pip" in launch.run(f'"{launch.python}" -c "print(\\'pip\\')"')
assert os.path.basename(os.environ["PIP_CONSTRAINT"]) == "requirements.txt"
assert not launch.args.skip_install
"""
    shelf.add("alpha", script)
    assert shelf.start() == ["alpha"]
    assert shelf.failed == []


def test_a_failing_command_of_an_installer_fails_it_with_its_output(
    shelf: Shelf, capfd: pytest.CaptureFixture[str]
) -> None:
    shelf.add("alpha", "import launch\nlaunch.run('echo the reason; exit 7', errdesc='It did not work')")
    shelf.start()
    assert shelf.failed == ["alpha"]
    errors = capfd.readouterr().err
    assert "It did not work" in errors
    assert "the reason" in errors
