"""A job's result as the gallery shows it: seeds stay with their pictures, also beside a grid or a lost file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules.web.ui.results import Result


def result(folder: Path, *, grid: bool, lost: int | None = None) -> dict[str, Any]:
    """Three pictures with seeds 10, 11, 12, a grid before them if wanted, one file removed if wanted."""
    names = (["grid.png"] if grid else []) + ["a.png", "b.png", "c.png"]
    for index, name in enumerate(names):
        if index != lost:
            (folder / name).write_bytes(b"picture")
    pictures = [{"path": str(folder / name), "infotext": f"text of {name}", "saved": True} for name in names]
    info = {"all_seeds": [10, 11, 12], "all_subseeds": [20, 21, 22], "index_of_first_image": int(grid)}
    return {"pictures": pictures, "info": info, "comments": ["hello"]}


def test_each_picture_has_its_own_seed_and_text(tmp_path: Path) -> None:
    shown = Result.of(result(tmp_path, grid=False))
    assert [shown.seed(index) for index in range(3)] == [10, 11, 12]
    assert [shown.subseed(index) for index in range(3)] == [20, 21, 22]
    assert shown.infotext(1) == "text of b.png"
    assert shown.comments == ("hello",)


def test_a_grid_takes_the_first_seed(tmp_path: Path) -> None:
    shown = Result.of(result(tmp_path, grid=True))
    assert [shown.seed(index) for index in range(4)] == [10, 10, 11, 12]


def test_a_lost_file_is_named_and_takes_its_seed_with_it(tmp_path: Path) -> None:
    shown = Result.of(result(tmp_path, grid=True, lost=2))
    assert [path.name for path in shown.paths] == ["grid.png", "a.png", "c.png"]
    assert [shown.seed(index) for index in range(3)] == [10, 10, 12]
    assert [path.name for path in shown.missing] == ["b.png"]


def test_nothing_is_nothing() -> None:
    nothings: tuple[dict[str, Any] | None, ...] = (None, {})
    for empty in nothings:
        shown = Result.of(empty)
        assert shown.paths == ()
        assert shown.seed(0) == -1
        assert shown.infotext(0) == ""
