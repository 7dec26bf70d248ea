"""The whole set-up with a pip that only writes folder names: what is asked of it, and what an interruption leaves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modules.setup import stamp
from modules.setup.environment import SCRIPTS, Environment
from modules.setup.failure import SetupFailed
from modules.setup.prepare import Wishes, describe, prepare
from modules.setup.requirements import installed, read_pins

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake pip is a script with a #! line")

PIP = """#!{python}
import pathlib, re, sys
here = pathlib.Path(__file__).resolve().parent.parent
packages = next(here.glob("lib/python3.*/site-packages"))
words = sys.argv[1:]
if "--dry-run" in words:
    sys.exit(1)
(here / "calls").open("a").write(" ".join(words) + "\\n")
for name, version in re.findall(r"(\\S+)==(\\S+)", " ".join(words)):
    for old in packages.glob(name + "-*.dist-info"):
        (old / "RECORD").unlink(missing_ok=True)
        old.rmdir()
    info = packages / f"{{name}}-{{version}}.dist-info"
    info.mkdir()
    if name == (here / "dies-at").read_text():
        sys.exit("killed")
    (info / "RECORD").write_text("")
"""


class Place:
    """A repository with pins and a venv whose pip is the script above."""

    def __init__(self, root: Path) -> None:
        self.root, self.venv = root, root / "venv"
        self.packages = self.venv / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        self.pins = root / "requirements.txt"
        self.said: list[str] = []
        (self.packages / "pip-24.0.dist-info").mkdir(parents=True)
        (self.packages / "pip-24.0.dist-info/RECORD").write_text("")
        python = self.venv / SCRIPTS
        python.parent.mkdir(parents=True)
        python.write_text(PIP.format(python=sys.executable))
        python.chmod(0o755)
        self.pip_dies_at("")
        self.pin("torch==2.13.0", "numpy==2.4.6", "pillow==12.3.0")

    def pin(self, *lines: str) -> None:
        self.pins.write_text("\n".join(lines))

    def pip_dies_at(self, name: str) -> None:
        (self.venv / "dies-at").write_text(name)

    def start(self, environ: dict[str, str] | None = None, *, reinstall_torch: bool = False) -> list[str]:
        """One start -> the commands that pip got (`-m pip install …`)."""
        calls = self.venv / "calls"
        calls.write_text("")
        self.said.clear()
        wishes = Wishes(requirements=(self.pins,), reinstall_torch=reinstall_torch)
        prepare(self.root, wishes, {"VENV_DIR": str(self.venv), **(environ or {})}, self.said.append)
        return calls.read_text().splitlines()

    def has(self) -> dict[str, str]:
        return installed([self.packages])

    def stamp(self) -> stamp.Stamp | None:
        return stamp.read(self.venv / "easel-setup.json")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_first_start_installs_all_and_the_second_nothing(place: Place) -> None:
    first = place.start()
    assert [call.split()[3] for call in first] == ["torch==2.13.0", "numpy==2.4.6"]
    assert place.has() == {"pip": "24.0", "torch": "2.13.0", "numpy": "2.4.6", "pillow": "12.3.0"}
    assert place.start() == []
    assert place.said == ["Requirements: all 3 are there, nothing to install."]


def test_only_what_changed_is_installed_with_the_other_pins_as_constraints(place: Place) -> None:
    place.start()
    place.pin("torch==2.13.0", "numpy==2.4.7", "pillow==12.3.0")
    assert place.start() == [f"-m pip install numpy==2.4.7 --constraint {place.pins}"]
    assert place.has()["numpy"] == "2.4.7"
    assert place.start() == []


def test_what_is_wanted_alone_comes_last_and_without_what_it_depends_on(place: Place) -> None:
    place.start()
    place.pin("torch==2.13.0", "spandrel==0.4.2  # alone: why", "numpy==2.4.7", "pillow==12.3.0")
    assert place.start() == [
        f"-m pip install numpy==2.4.7 --constraint {place.pins}",
        f"-m pip install spandrel==0.4.2 --no-deps --constraint {place.pins}",
    ]
    assert place.start() == []


def test_a_venv_filled_by_hand_needs_no_pip(place: Place) -> None:
    for name in ("torch-2.13.0+cpu", "numpy-2.4.6", "pillow-12.3.0"):
        (place.packages / f"{name}.dist-info").mkdir()
        (place.packages / f"{name}.dist-info/RECORD").write_text("")
    assert place.start() == []
    assert place.start() == []
    assert place.said == ["Requirements: all 3 are there, nothing to install."]


@pytest.mark.parametrize("victim", ["torch", "numpy", "pillow"])
def test_an_interrupted_installation_is_continued(place: Place, victim: str) -> None:
    place.pip_dies_at(victim)
    with pytest.raises(SetupFailed):
        place.start()
    assert victim not in place.has()
    left = place.stamp()
    assert left is not None
    assert not left.finished
    place.pip_dies_at("")
    calls = place.start()
    assert "The last installation was interrupted: going on with it." in place.said
    assert ("torch==2.13.0" in " ".join(calls)) is (victim == "torch")  # what is whole is not fetched again
    assert "numpy==2.4.6 pillow==12.3.0" in calls[-1]  # every other pin: pip looks at the dependencies too
    assert place.has() == {"pip": "24.0", "torch": "2.13.0", "numpy": "2.4.6", "pillow": "12.3.0"}
    assert place.start() == []


def test_killed_after_everything_was_written_still_asks_pip_once(place: Place) -> None:
    place.start()
    stamp.write(place.venv / "easel-setup.json", stamp.Stamp(finished=False))
    assert len(place.start()) == 1
    assert place.start() == []


def test_a_dependency_that_vanished_is_noticed(place: Place) -> None:
    (place.packages / "sympy-1.dist-info").mkdir()
    (place.packages / "sympy-1.dist-info/RECORD").write_text("")
    place.start()
    (place.packages / "sympy-1.dist-info/RECORD").unlink()
    assert len(place.start()) == 1
    assert place.start() == []


def test_another_index_for_torch_is_another_torch(place: Place) -> None:
    place.start()
    asked = {"TORCH_INDEX_URL": "https://example.org/whl/cpu"}
    calls = place.start(asked)
    expected = "-m pip install torch==2.13.0 --extra-index-url https://example.org/whl/cpu --force-reinstall"
    assert calls == [expected]
    assert place.start(asked) == []


def test_an_index_wish_that_was_cut_off_after_torch_is_not_repeated(place: Place) -> None:
    asked = {"TORCH_INDEX_URL": "https://example.org/whl/cpu"}
    place.pip_dies_at("pillow")
    with pytest.raises(SetupFailed):
        place.start(asked)
    place.pip_dies_at("")
    assert "torch" not in " ".join(place.start(asked))


def test_torch_command_is_run_as_it_is_and_once(place: Place) -> None:
    asked = {"TORCH_COMMAND": "pip install torch==2.12.1 --pre"}
    assert place.start(asked)[0] == "-m pip install torch==2.12.1 --pre"
    assert place.has()["torch"] == "2.12.1"
    assert place.start(asked) == []


def test_reinstall_torch_installs_only_torch_again(place: Place) -> None:
    place.start()
    assert place.start(reinstall_torch=True) == ["-m pip install torch==2.13.0 --force-reinstall"]


def test_skipping_runs_no_pip_and_says_what_differs(place: Place) -> None:
    assert place.start({"EASEL_SKIP_INSTALL": "1"}) == []
    assert len(place.said) == 1
    assert "left alone" in place.said[0]
    assert "numpy==2.4.6" in place.said[0]
    assert "torch is not installed" in place.said[0]


def test_an_environment_left_alone_may_have_another_torch(place: Place) -> None:
    for name in ("torch-2.11.0", "numpy-2.4.6", "pillow-12.3.0"):
        (place.packages / f"{name}.dist-info").mkdir()
    environment = Environment(
        folder=place.venv, python=place.venv / SCRIPTS, state=place.venv, own=True, left_alone="--skip-install"
    )
    assert describe(environment, read_pins(place.pins)).endswith("all 3 requirements are there.")
