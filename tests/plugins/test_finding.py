"""Folders are extensions; each comes after what it requires, otherwise by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.plugins.extension import Extension
from modules.plugins.finding import find, in_order
from modules.plugins.manifest import Manifest


def folder(root: Path, name: str, toml: str = "", *, code: bool = True) -> None:
    (root / name).mkdir(parents=True)
    if code:
        (root / name / "extension.py").write_text("")
    if toml:
        (root / name / "extension.toml").write_text(toml)


def extension(name: str, /, **said: tuple[str, ...] | str) -> Extension:
    return Extension(name=name, folder=Path(name), manifest=Manifest(**said))


def names(extensions: list[Extension]) -> list[str]:
    return [each.name for each in extensions]


def test_a_folder_with_an_extension_py_is_one(tmp_path: Path) -> None:
    for name in ("beta", "Alpha", ".hidden", "_off"):
        folder(tmp_path, name)
    folder(tmp_path, "empty", code=False)
    (tmp_path / "file.py").write_text("")
    assert names(find([tmp_path, tmp_path / "nowhere"])) == ["Alpha", "beta"]


def test_guests_are_found_by_whoever_runs_them(tmp_path: Path) -> None:
    folder(tmp_path, "own")
    (tmp_path / "guest" / "scripts").mkdir(parents=True)
    found = find([tmp_path], guest=lambda path: (path / "scripts").is_dir())
    assert [(each.name, each.own) for each in found] == [("guest", False), ("own", True)]


def test_only_what_easel_ships_is_built_in(tmp_path: Path) -> None:
    for root, name in (("shipped", "one"), ("mine", "two")):
        folder(tmp_path / root, name, "builtin = true")
    found = find([tmp_path / "shipped", tmp_path / "mine"], shipped=tmp_path / "shipped")
    assert [(each.name, each.builtin) for each in found] == [("one", True), ("two", False)]


def test_of_two_of_one_name_the_first_folders_counts(tmp_path: Path) -> None:
    folder(tmp_path / "a", "same")
    folder(tmp_path / "b", "same")
    assert [each.folder.parent.name for each in find([tmp_path / "b", tmp_path / "a"])] == ["b"]


def test_a_damaged_manifest_fails_that_extension_alone(tmp_path: Path) -> None:
    folder(tmp_path, "bad", "name = ")
    folder(tmp_path, "good")
    bad, good = find([tmp_path])
    assert (bad.state, good.state) == ("failed", "found")
    assert "TOML" in bad.error


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([extension("c"), extension("B"), extension("a")], ["a", "B", "c"]),
        ([extension("a", requires=("c",)), extension("b"), extension("c")], ["b", "c", "a"]),
        ([extension("a", after=("b", "nobody")), extension("b")], ["b", "a"]),
        ([extension("z", before=("a",)), extension("a"), extension("m")], ["m", "z", "a"]),
        ([extension("a", requires=("Title",)), extension("b", name="title")], ["b", "a"]),
    ],
)
def test_order(given: list[Extension], expected: list[str]) -> None:
    found = in_order(given)
    assert names(found) == expected
    assert all(each.state == "found" for each in found)


def test_what_is_missing_is_named() -> None:
    (found,) = in_order([extension("a", requires=("lost",))])
    assert found.state == "failed"
    assert '"lost"' in found.error


def test_a_circle_is_named_and_the_others_load() -> None:
    found = in_order([extension("a", requires=("b",)), extension("b", after=("a",)), extension("c")])
    assert [(each.name, each.state) for each in found] == [("c", "found"), ("a", "failed"), ("b", "failed")]
    assert "circle: a, b" in found[1].error
