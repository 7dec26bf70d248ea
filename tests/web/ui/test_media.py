"""Addresses of pictures: files in served folders have their own, others a copy's; small ones are made once."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from modules.web.ui.media import Media


def media(folder: Path) -> Media:
    served = folder / "outputs"
    served.mkdir(exist_ok=True)
    return Media(cache=folder / "cache", served=(served,), root="/easel")


def test_a_small_copy_is_made_once_and_again_when_the_picture_changes(tmp_path: Path) -> None:
    made, path = media(tmp_path), tmp_path / "outputs" / "a b.png"

    Image.new("RGB", (1000, 500), "red").save(path)
    assert made.known(path) is None
    address = made.small(path)
    assert address.startswith("/easel/gradio_api/file=")
    assert made.known(path) == address == made.small(path)
    (copy,) = (tmp_path / "cache").iterdir()
    assert Image.open(copy).size == (320, 160)
    Image.new("RGB", (500, 1000), "red").save(path)
    os.utime(path, ns=(1, 1))
    assert made.small(path) != address


def test_what_lies_outside_is_copied_and_what_is_gone_or_damaged_has_no_address(tmp_path: Path) -> None:
    made, inside, outside = media(tmp_path), tmp_path / "outputs" / "a b.png", tmp_path / "elsewhere.png"
    for path in (inside, outside):
        Image.new("RGB", (8, 8)).save(path)
    assert made.whole(inside).endswith("/outputs/a%20b.png")
    assert "/cache/" in made.whole(outside)
    assert made.whole(tmp_path / "gone.png") == made.small(tmp_path / "gone.png") == ""
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert made.small(tmp_path / "no.png") == ""


def test_the_cache_keeps_the_newest(tmp_path: Path) -> None:
    made = media(tmp_path)
    (tmp_path / "cache").mkdir()
    for number in range(5):
        file = tmp_path / "cache" / f"{number}.webp"
        file.touch()
        os.utime(file, (number, number))
    made.trim(2)
    assert sorted(file.name for file in (tmp_path / "cache").iterdir()) == ["3.webp", "4.webp"]
