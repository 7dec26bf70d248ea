"""Saving from the gallery: the file goes along as it is, under a free name, and is noted in the log."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest

from modules.core.errors import EaselError
from modules.web.ui import gallery

TEXT = 'a cat, "quoted"\nNegative prompt: ugly\nSteps: 5, Sampler: Euler, CFG scale: 7, Seed: 3, Size: 64x32, Model: m'


def picture(folder: Path, name: str = "a.png", data: bytes = b"picture") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def test_saving_keeps_the_bytes_and_never_overwrites(tmp_path: Path) -> None:
    path, folder = picture(tmp_path / "from"), tmp_path / "to" / "deep"
    kept = [gallery.keep(path, TEXT, folder) for _ in range(3)]
    assert [each.name for each in kept] == ["a.png", "a-1.png", "a-2.png"]
    assert {each.read_bytes() for each in kept} == {b"picture"}
    with (folder / gallery.LOG).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == ["a.png", "a-1.png", "a-2.png"]
    assert (rows[0]["prompt"], rows[0]["negative_prompt"]) == ('a cat, "quoted"', "ugly")
    assert (rows[0]["seed"], rows[0]["width"], rows[0]["sd_model_name"]) == ("3", "64", "m")


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EaselError, match="file"):
        gallery.keep(picture(tmp_path), TEXT, tmp_path / "file")


def test_a_zip_has_every_picture_once(tmp_path: Path) -> None:
    paths = (picture(tmp_path / "x", data=b"1"), picture(tmp_path / "y", data=b"2"), picture(tmp_path / "y", "b.png"))
    with zipfile.ZipFile(io.BytesIO(gallery.zipped(paths))) as archive:
        assert sorted(archive.namelist()) == ["a-1.png", "a.png", "b.png"]
        assert {archive.read("a.png"), archive.read("a-1.png")} == {b"1", b"2"}


def test_a_folder_is_handed_to_the_file_manager(tmp_path: Path) -> None:
    asked: list[list[str]] = []
    gallery.show(tmp_path, run=asked.append)
    assert [words[-1] for words in asked] == [str(tmp_path)]
