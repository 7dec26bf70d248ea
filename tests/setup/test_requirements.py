"""Pins against package folders: no pip, only names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.setup import requirements
from modules.setup.failure import SetupFailed
from modules.setup.requirements import Pin, at_least, clear_remains, installed, missing, normal, read_pins

ROOT = Path(__file__).resolve().parents[2]


def distribution(folder: Path, name: str, version: str, *, whole: bool = True) -> Path:
    """A `.dist-info` folder as pip leaves it; not whole: as a killed pip leaves it, without RECORD."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    if whole:
        (info / "RECORD").write_text("")
    return info


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True))
def test_normal_names_stay_as_they_are(name: str) -> None:
    assert normal(normal(name)) == normal(name)
    assert normal(name) == normal(name.upper()) == normal(name.replace("-", "_"))


def test_what_is_installed_as_pinned_is_not_missing(tmp_path: Path) -> None:
    for name, version in (("Jinja2", "3.1.6"), ("hf_gradio", "0.4.1"), ("torch", "2.13.0+cpu")):
        distribution(tmp_path, name, version)
    pins = [
        Pin(name="jinja2", version="3.1.6"),
        Pin(name="hf-gradio", version="0.4.1"),
        Pin(name="torch", version="2.13.0"),
    ]
    assert missing(pins, installed([tmp_path])) == []


def test_absent_and_changed_ones_are_missing_and_no_other(tmp_path: Path) -> None:
    distribution(tmp_path, "numpy", "2.4.5")
    distribution(tmp_path, "pillow", "12.3.0")
    numpy, pillow = Pin(name="numpy", version="2.4.6"), Pin(name="pillow", version="12.3.0")
    gradio = Pin(name="gradio", version="6.31.0")
    assert missing([numpy, pillow, gradio], installed([tmp_path])) == [numpy, gradio]


def test_a_local_version_counts_only_if_the_pin_has_one() -> None:
    assert Pin(name="torch", version="2.13.0").met_by("2.13.0+cpu")
    assert Pin(name="torch", version="2.13.0+cpu").met_by("2.13.0+cpu")
    assert not Pin(name="torch", version="2.13.0+cpu").met_by("2.13.0")
    assert not Pin(name="torch", version="2.13.0").met_by("2.13.1")
    assert not Pin(name="torch", version="2.13.0").met_by(None)


def test_half_unpacked_distributions_do_not_count_and_are_cleared(tmp_path: Path) -> None:
    whole = distribution(tmp_path, "numpy", "2.4.6")
    half = distribution(tmp_path, "torch", "2.13.0", whole=False)
    parked = distribution(tmp_path, "~radio", "6.31.0")
    assert installed([tmp_path]) == {"numpy": "2.4.6"}
    assert sorted(clear_remains([tmp_path])) == sorted([half.name, parked.name])
    assert list(tmp_path.iterdir()) == [whole]


def test_the_first_folder_wins_and_absent_folders_are_empty(tmp_path: Path) -> None:
    distribution(tmp_path / "first", "numpy", "2")
    distribution(tmp_path / "second", "numpy", "1")
    assert installed([tmp_path / "none", tmp_path / "first", tmp_path / "second"]) == {"numpy": "2"}


def test_egg_infos_of_system_packages_are_read(tmp_path: Path) -> None:
    (tmp_path / "PyYAML-6.0.1-py3.11.egg-info").mkdir()
    assert installed([tmp_path]) == {"pyyaml": "6.0.1"}


def test_a_line_can_ask_for_its_package_alone(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy==2.4.6  # everybody's\nspandrel==0.4.2  # alone: torchvision would come with it\n")
    assert [pin.alone for pin in read_pins(path)] == [False, True]


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "-r other.txt", "numpy == 2", "git+https://example.org/x"])
def test_a_line_that_is_no_pin_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# comment\n\npillow==12.3.0  # why\n{line}\n")
    with pytest.raises(SetupFailed, match="line 4"):
        read_pins(path)


@pytest.mark.parametrize(
    ("version", "enough"), [("2.11.0", True), ("2.13.0+cpu", True), ("3.0", True), ("2.9.1", False), ("nightly", False)]
)
def test_at_least_compares_numbers(version: str, enough: bool) -> None:
    assert at_least(version, (2, 11)) is enough


def test_our_own_files_are_pins_without_doubles() -> None:
    pins = [pin for name in ("requirements.txt", "requirements-dev.txt") for pin in read_pins(ROOT / name)]
    names = [pin.name for pin in pins]
    assert len(names) == len(set(names))
    assert "torch" in names
    assert "torchvision" not in names
    assert requirements.normal("import_linter") in names
