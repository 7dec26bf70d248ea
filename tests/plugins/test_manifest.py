"""extension.toml and A1111's metadata.ini say the same things; what is wrong in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.core.errors import DamagedFile
from modules.plugins.manifest import Manifest, read


def test_no_manifest_is_an_empty_one(tmp_path: Path) -> None:
    assert read(tmp_path) == Manifest()


def test_toml(tmp_path: Path) -> None:
    (tmp_path / "extension.toml").write_text(
        'name = "One"\nversion = "2.1"\ndescription = "does"\nrequires = ["two"]\nbefore = ["three"]\n'
        'after = ["four"]\nrequirements = ["numpy>=2"]\npermissions = ["network"]\nbuiltin = true\n'
    )
    assert read(tmp_path) == Manifest(
        name="One",
        version="2.1",
        description="does",
        requires=("two",),
        before=("three",),
        after=("four",),
        requirements=("numpy>=2",),
        permissions=("network",),
        builtin=True,
    )


def test_no_permissions_are_something_else_than_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "extension.toml").write_text('name = "One"\n')
    assert read(tmp_path).permissions is None
    (tmp_path / "extension.toml").write_text("permissions = []\n")
    assert read(tmp_path).permissions == ()


def test_a1111s_ini(tmp_path: Path) -> None:
    (tmp_path / "metadata.ini").write_text(
        "[Extension]\nName = Demo-Extension\nRequires = another, Third\n\n"
        "[scripts]\nRequires = another\nBefore = last\nAfter = first second\n\n"
        "[callbacks/demo/app-started]\nBefore = x"
    )
    assert read(tmp_path) == Manifest(
        name="demo-extension", requires=("another", "third"), before=("last",), after=("first", "second")
    )
    (tmp_path / "metadata.ini").write_text("[Extension]\nPermissions = routes, Network\n")
    assert read(tmp_path).permissions == ("routes", "network")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "TOML"),
        ("name = 3", '"name" must be text'),
        ('requires = "one"', '"requires" must be a list'),
        ('requiers = ["one"]', 'nobody reads "requiers"'),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "extension.toml").write_text(text)
    with pytest.raises(DamagedFile, match=words):
        read(tmp_path)


def test_a_damaged_ini_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.ini").write_text("Name = without a section")
    with pytest.raises(DamagedFile, match=r"metadata\.ini"):
        read(tmp_path)
