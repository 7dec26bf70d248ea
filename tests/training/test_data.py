"""Pictures and captions by number: what is written is read back; a folder's pictures come with their captions."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modules.core.errors import BadRequest
from modules.training.data import PICTURES, Folder, Painted, Shards, paint, pixels, source_of, to_pictures
from modules.training.painter import picture, scene


def silent(_: str) -> None:
    pass


def test_painted_pictures_are_read_back_across_files(tmp_path: Path) -> None:
    paint(Painted(7), tmp_path, size=16, shard=3, say=silent)
    shards = Shards(tmp_path, PICTURES)
    assert len(shards) == 7
    taken = shards.take(torch.tensor([6, 0, 3, 2]))
    for row, index in enumerate((6, 0, 3, 2)):
        assert np.array_equal(taken[row].numpy(), np.asarray(picture.paint(scene.draw(index), 16)))


def test_painting_goes_on_where_it_stopped(tmp_path: Path) -> None:
    paint(Painted(7), tmp_path, size=16, shard=3, say=silent)
    before = (tmp_path / "pictures-00000.npy").stat().st_mtime_ns
    (tmp_path / "pictures-00001.npy").unlink()
    said: list[str] = []
    assert not paint(Painted(7), tmp_path, size=16, shard=3, stop=lambda: True, say=said.append)
    assert paint(Painted(7), tmp_path, size=16, shard=3, say=said.append)
    assert len(said) == 1
    assert (tmp_path / "pictures-00000.npy").stat().st_mtime_ns == before


def test_pixels_and_back_change_nothing() -> None:
    given = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert torch.equal(to_pictures(pixels(given)), given)
    assert pixels(given).min() == -1
    assert pixels(given).max() == 1


def test_a_folder_is_squared_and_captioned(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), (200, 10, 10)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a red wall\n\nsomething red\n", encoding="utf-8")
    (tmp_path / "deep").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "deep" / "b.webp")
    source = Folder(tmp_path)
    assert len(source) == 2
    assert source.picture(0, 16).shape == (16, 16, 3)
    assert tuple(source.picture(0, 16)[8, 8]) == (200, 10, 10)
    assert {source.caption(0, random.Random(seed)) for seed in range(20)} == {"a red wall", "something red"}
    assert source.caption(1, random.Random(0)) == ""


def test_an_empty_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=tmp_path.name):
        Folder(tmp_path)


def test_a_run_keeps_its_source(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert isinstance(source_of(tmp_path / "run", tmp_path, 5), Folder)
    assert isinstance(source_of(tmp_path / "run", None, 5), Folder)
    assert len(source_of(tmp_path / "other", None, 5)) == 5
