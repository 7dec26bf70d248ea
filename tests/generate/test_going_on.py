"""A job of several batches whose process was killed goes on behind its finished pictures; none is there twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate import run
from modules.generate.request import Txt2Img
from modules.generate.save import Album, Kept
from modules.jobs.cells import Cells
from tests.studio import Bench, Silent


class Killed(BaseException):
    """No handler of the program sees it, as none sees `kill -9`."""


class Life:
    """One process after the other works on the same job."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.cells = Cells(Store(folder / "easel.sqlite"))
        self.left = 99
        self.steps: list[int] = []

    def live(self, request: Txt2Img, *, pictures: int = 99) -> JsonObject:
        """Die when that many pictures are there."""
        self.left = pictures
        control = Silent()
        album = Album(
            data=self.folder / "data",
            spool=self.folder / "spool",
            moments=self.bench.moments,
            record=self._recorded,
            ledger=self.cells.of_job("one"),
        )
        try:
            return run.make(self.bench.studio, request, self.bench.options({}), control, album)
        finally:
            self.steps = control.steps

    def _recorded(self, plan: Any, kept: Kept) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "data").rglob("*.png") if "grid" not in path.name)


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


ASKED: dict[str, Any] = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, "n_iter": 3}


def test_it_goes_on_at_the_first_batch_that_is_missing(bench: Bench, tmp_path: Path) -> None:
    request, life = Txt2Img(**ASKED), Life(bench, tmp_path)
    whole = bench.make(request)
    with pytest.raises(Killed):
        life.live(request, pictures=1)
    for path in (tmp_path / "data").rglob("00001-*.png"):
        path.unlink()  # the kill came between the file and its row here; a real one has that window of a millisecond
    result = life.live(request)
    assert life.steps == [1, 2, 1, 2]  # two batches of three
    assert len(life.files()) == 3
    assert result["info"]["infotexts"] == whole["info"]["infotexts"]
    assert [each["kind"] for each in result["pictures"]] == ["grid", "sample", "sample", "sample"]
    for made, other in zip(result["pictures"], whole["pictures"], strict=True):
        assert np.array_equal(pixels(made["path"]), pixels(other["path"]))


def test_of_a_batch_that_was_half_saved_the_rest_is_saved(bench: Bench, tmp_path: Path) -> None:
    request, life = Txt2Img(**{**ASKED, "n_iter": 1, "batch_size": 3}), Life(bench, tmp_path)
    first = life.live(request)
    life.cells.drop("one")
    for number in (0, 1):
        life.cells.of_job("one").put(number, {"pictures": [first["pictures"][1 + number]], "extra": {}})
    Path(first["pictures"][3]["path"]).unlink()
    again = life.live(request)
    assert life.files() == sorted(Path(each["path"]).name for each in again["pictures"][1:])
    assert again["pictures"][1:3] == first["pictures"][1:3]


def test_a_picture_whose_file_is_gone_is_made_again(bench: Bench, tmp_path: Path) -> None:
    request, life = Txt2Img(**{**ASKED, "n_iter": 1}), Life(bench, tmp_path)
    first = life.live(request)
    assert life.live(request)["pictures"] == first["pictures"]
    assert life.steps == []
    Path(first["pictures"][0]["path"]).unlink()
    life.live(request)
    assert life.steps == [1, 2]
