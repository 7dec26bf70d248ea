"""Which environment is chosen, and how ours is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modules.setup.environment import SCRIPTS, Environment, Running, choose, make, no_venv_module
from modules.setup.failure import SetupFailed
from modules.setup.requirements import installed


def running(prefix: Path, base: Path | None = None) -> Running:
    return Running(prefix=prefix, base_prefix=base or prefix, python=prefix / SCRIPTS, packages=(prefix / "packages",))


def chosen(
    root: Path, environ: dict[str, str] | None = None, *, inside: Path | None = None, skip: bool = False
) -> Environment:
    system = root / "usr"
    return choose(root, environ or {}, running(inside or system, system), skip_install=skip)


def with_python(folder: Path) -> Path:
    (folder / SCRIPTS).parent.mkdir(parents=True)
    (folder / SCRIPTS).write_text("")
    return folder


def test_by_default_it_is_our_own_venv(tmp_path: Path) -> None:
    environment = chosen(tmp_path)
    assert (environment.folder, environment.own, environment.left_alone) == (tmp_path / "venv", True, "")


def test_venv_dir_moves_it_and_goes_before_an_activated_one(tmp_path: Path) -> None:
    environment = chosen(tmp_path, {"VENV_DIR": str(tmp_path / "big disk"), "VIRTUAL_ENV": str(tmp_path / "other")})
    assert (environment.folder, environment.own, environment.left_alone) == (tmp_path / "big disk", True, "")


def test_venv_dir_dash_installs_into_the_running_python(tmp_path: Path) -> None:
    environment = chosen(tmp_path, {"VENV_DIR": "-"})
    assert (environment.python, environment.own, environment.left_alone) == (tmp_path / "usr" / SCRIPTS, False, "")


@pytest.mark.parametrize(
    "environ",
    [{"VIRTUAL_ENV": "other"}, {"CONDA_PREFIX": "other"}, {"CONDA_PREFIX": "other", "CONDA_DEFAULT_ENV": "sd"}],
)
def test_an_activated_environment_is_used_and_left_alone(tmp_path: Path, environ: dict[str, str]) -> None:
    other = with_python(tmp_path / "other")
    environment = chosen(tmp_path, {key: value.replace("other", str(other)) for key, value in environ.items()})
    assert environment.python == other / SCRIPTS
    assert "activated" in environment.left_alone


def test_running_inside_another_venv_counts_as_activated(tmp_path: Path) -> None:
    other = with_python(tmp_path / "other")
    assert chosen(tmp_path, inside=other).left_alone
    assert chosen(tmp_path, inside=other).python == other / SCRIPTS


def test_our_own_venv_activated_is_ours(tmp_path: Path) -> None:
    own = with_python(tmp_path / "venv")
    environment = chosen(tmp_path, {"VIRTUAL_ENV": str(own)}, inside=own)
    assert (environment.folder, environment.own, environment.left_alone) == (own, True, "")


def test_condas_base_is_on_for_everybody_and_does_not_count(tmp_path: Path) -> None:
    environ = {"CONDA_PREFIX": str(tmp_path / "conda"), "CONDA_DEFAULT_ENV": "base"}
    assert chosen(tmp_path, environ).own


@pytest.mark.parametrize(("environ", "skip"), [({}, True), ({"EASEL_SKIP_INSTALL": "1"}, False)])
def test_skipping_uses_our_venv_if_it_is_there_and_the_running_python_if_not(
    tmp_path: Path, environ: dict[str, str], skip: bool
) -> None:
    without = chosen(tmp_path, environ, skip=skip)
    assert without.left_alone
    assert without.python == tmp_path / "usr" / SCRIPTS
    own = with_python(tmp_path / "venv")
    assert chosen(tmp_path, environ, skip=skip).python == own / SCRIPTS
    assert chosen(tmp_path, environ, skip=skip).left_alone


def test_skip_variable_set_to_nothing_or_zero_is_off(tmp_path: Path) -> None:
    assert not chosen(tmp_path, {"EASEL_SKIP_INSTALL": ""}).left_alone
    assert not chosen(tmp_path, {"EASEL_SKIP_INSTALL": "0"}).left_alone


@pytest.mark.skipif(os.name == "nt", reason="the folders are POSIX's")
def test_packages_are_those_of_the_version_that_made_the_venv(tmp_path: Path) -> None:
    environment = chosen(tmp_path)
    for version in ("3.11", "3.12"):
        (environment.folder / f"lib/python{version}/site-packages").mkdir(parents=True)
    (environment.folder / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.12.1\n")
    assert environment.packages == (environment.folder / "lib/python3.12/site-packages",)


def test_a_venv_of_an_old_python_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/pyvenv.cfg").write_text("version = 3.9.18\n")
    with pytest.raises(SetupFailed, match=r"Python 3\.9.*Delete that folder"):
        make(chosen(tmp_path), Running.now(), print)


def test_missing_venv_module_names_the_package() -> None:
    assert "apt install python3.12-venv" in no_venv_module((3, 12), lambda name: name)
    assert "apt install" not in no_venv_module((3, 12), lambda name: None)
    assert "python3.12-venv" in no_venv_module((3, 12), lambda name: None)


def test_a_venv_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "venv").write_text("a file is in the way")
    with pytest.raises(SetupFailed, match="No virtual environment could be made"):
        make(chosen(tmp_path), Running.now(), print)


@pytest.mark.slow
def test_make_makes_one_completes_a_broken_one_and_then_does_nothing(tmp_path: Path) -> None:
    environment = Environment(folder=tmp_path / "venv", python=tmp_path / "venv" / SCRIPTS, state=tmp_path, own=True)
    said: list[str] = []
    make(environment, Running.now(), said.append)
    assert "pip" in installed(environment.packages)
    environment.python.unlink()  # as when the Python that made it is gone
    make(environment, Running.now(), said.append)
    assert os.access(environment.python, os.X_OK)
    make(environment, Running.now(), said.append)
    assert len(said) == 2
